"""Which tokenizer a model gets (spec §18, DEC-32), and why."""

from dataclasses import dataclass
from pathlib import Path

from adapters_outbound.tokenizers.factory import build_tokenizer
from adapters_outbound.tokenizers.hf_json import build_hf_json
from adapters_outbound.tokenizers.metadata_reader import MetadataReader
from ports.model_file import ModelFile
from ports.tokenizer import Tokenizer, TokenizerKind

_PREFER_FILE_BESIDE = frozenset({"gpt-oss", "gptoss"})


@dataclass(frozen=True, slots=True)
class TokenizerChoice:
    """A `tokenizer.json`, or the tokenizer in the model file itself."""

    json_path: str | None
    reason: str

    @property
    def kind(self) -> TokenizerKind:
        return "gguf-bpe" if self.json_path is None else "hf-json"

    def build(self, file: ModelFile) -> Tokenizer:
        """Build it.

        Raises:
            ModelLoadFailed: what was chosen is missing, broken or not supported.
        """
        if self.json_path is None:
            return build_tokenizer(file.metadata, path=file.path)
        return build_hf_json(self.json_path, model=MetadataReader(file.metadata, path=file.path))


def choose_tokenizer(file: ModelFile, option: str | None) -> TokenizerChoice:
    """Choose by the `--tokenizer` option, the architecture and what lies beside the model file."""
    if option is not None:
        return TokenizerChoice(option, "--tokenizer names it")
    beside = Path(file.path).with_name("tokenizer.json")
    architecture = file.metadata.get("general.architecture")
    if isinstance(architecture, str) and architecture in _PREFER_FILE_BESIDE and beside.is_file():
        return TokenizerChoice(str(beside), "a gpt-oss model has a tokenizer.json beside it")
    return TokenizerChoice(None, "the model file embeds its tokenizer")
