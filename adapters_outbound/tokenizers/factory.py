"""Choose the tokenizer of a model file."""

from collections.abc import Callable, Mapping

from adapters_outbound.tokenizers.gguf_bpe import build_gguf_bpe
from adapters_outbound.tokenizers.gguf_sentencepiece import build_gguf_sentencepiece
from adapters_outbound.tokenizers.metadata_reader import MetadataReader
from domain.metadata import shown
from ports.model_file import MetadataValue
from ports.tokenizer import Tokenizer

_KEY = "tokenizer.ggml.model"
_BUILDERS: dict[str, Callable[[MetadataReader], Tokenizer]] = {
    "gpt2": build_gguf_bpe,
    "llama": build_gguf_sentencepiece,
}


def build_tokenizer(metadata: Mapping[str, MetadataValue], *, path: str) -> Tokenizer:
    """Build the tokenizer that a model file carries in its metadata.

    Args:
        metadata: the file's metadata; the lists in it are kept, not copied.
        path: the file's name, for messages.

    Raises:
        ModelLoadFailed: the file names no kind of tokenizer, or one that is not supported, or describes it
            wrongly; the message names file, key, expectation and what was found.
    """
    reader = MetadataReader(metadata, path=path)
    name = reader.text(_KEY)
    if name not in _BUILDERS:
        reader.refuse(_KEY, f"one of {', '.join(sorted(_BUILDERS))}", actual=shown(name))
    return _BUILDERS[name](reader)
