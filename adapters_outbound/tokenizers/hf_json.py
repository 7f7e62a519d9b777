"""The tokenizer of a `tokenizer.json`, which the `tokenizers` library runs as it stands."""

from collections.abc import Callable
from pathlib import Path

from tokenizers import Tokenizer

from adapters_outbound.tokenizers.hf_decoding import read_bytes_of_token
from adapters_outbound.tokenizers.hf_metadata import HfMetadata, read_hf_metadata
from adapters_outbound.tokenizers.hf_unknown import check_unknown
from adapters_outbound.tokenizers.json_file import parse_json_object, read_json_file, refuse_file
from adapters_outbound.tokenizers.library_panics import LibraryPanic, panics_as_exceptions
from adapters_outbound.tokenizers.metadata_reader import MetadataReader
from domain.metadata import shown
from ports.tokenizer import TokenizerKind


class HfJsonTokenizer:
    """A `Tokenizer` whose ids are the library's own.

    Text that the file's normaliser changes, and the blank that some files put first, do not come back as
    they were. The file's limits of length are not kept: a prompt is refused when it is too long, not cut.
    """

    def __init__(
        self,
        markup: Tokenizer,
        plain: Tokenizer,
        metadata: HfMetadata,
        bytes_of_token: Callable[[str], bytes],
    ) -> None:
        """Combine the parts; neither tokenizer may be changed any more.

        Args:
            markup: encodes text, special tokens as their ids.
            plain: the same, special tokens as text: with the library that is a property of the tokenizer.
            metadata: what is known of the vocabulary.
            bytes_of_token: what a token that was not added stands for.
        """
        self._markup = markup
        self._plain = plain
        self._metadata = metadata
        self._bytes_of_token = bytes_of_token
        self._added = {
            token_id: b"" if token.special else token.content.encode()
            for token_id, token in markup.get_added_tokens_decoder().items()
        }

    @property
    def kind(self) -> TokenizerKind:
        return "hf-json"

    @property
    def vocab_size(self) -> int:
        return self._metadata.vocab_size

    @property
    def bos_token_id(self) -> int | None:
        return self._metadata.bos_token_id

    @property
    def eos_token_id(self) -> int | None:
        return self._metadata.eos_token_id

    @property
    def eog_token_ids(self) -> frozenset[int]:
        return self._metadata.eog_token_ids

    @property
    def adds_bos(self) -> bool:
        return self._metadata.adds_bos

    @property
    def model_max_context(self) -> int | None:
        """The longest context in tokens, where a file beside says it."""
        return self._metadata.model_max_context

    @property
    def adds_space_prefix(self) -> bool:
        """Whether the bytes of an encoded text begin with a blank that was not in it."""
        token_ids = self.encode("a", add_bos=False, parse_special=False)
        return b"".join(map(self.decode_bytes, token_ids)).startswith(b" ")

    def encode(self, text: str, *, add_bos: bool, parse_special: bool) -> list[int]:
        bos_token_id = self.bos_token_id
        token_ids = [bos_token_id] if add_bos and bos_token_id is not None else []
        tokenizer = self._markup if parse_special else self._plain
        # a batch of one, since `encode` keeps the interpreter lock and would stall every stream
        with panics_as_exceptions():
            return token_ids + tokenizer.encode_batch_fast([text], add_special_tokens=False)[0].ids

    def decode_bytes(self, token_id: int) -> bytes:
        """The bytes of one id; none for an id past the vocabulary, which padded logits can yield."""
        if token_id in self._added:
            return self._added[token_id]
        token = self._markup.id_to_token(token_id) if 0 <= token_id < self.vocab_size else None
        return b"" if token is None else self._bytes_of_token(token)


def build_hf_json(path: str, *, model: MetadataReader | None = None) -> HfJsonTokenizer:
    """Build the tokenizer of the `tokenizer.json` at `path`.

    BOS, EOS and the longest context are read from `tokenizer_config.json`, `special_tokens_map.json` and
    `generation_config.json` beside it, as far as they are there, then from the model file. What the latter
    names as an end of a generation is one in any case.

    Args:
        path: of the file.
        model: the metadata of the model that the tokenizer is for, where there is one.

    Raises:
        ModelLoadFailed: a file is missing, broken or of a kind that is not supported; the message names it.
    """
    file = Path(path)
    try:
        with panics_as_exceptions():
            return _build(file, model or MetadataReader({}, path=path))
    except LibraryPanic as panic:
        expected = "a tokenizer on which the tokenizers library does not fail"
        refuse_file(file, expected, actual=shown(str(panic)), cause=panic)


def _build(file: Path, model: MetadataReader) -> HfJsonTokenizer:
    data = read_json_file(file)
    content = parse_json_object(data, file)
    bytes_of_token = read_bytes_of_token(content, file)
    markup, plain = _load(data, file), _load(data, file)
    check_unknown(markup, content, file)
    plain.encode_special_tokens = True
    return HfJsonTokenizer(markup, plain, read_hf_metadata(markup, file, model), bytes_of_token)


def _load(data: bytes, file: Path) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_buffer(data)
    except Exception as exc:  # the library raises nothing more specific
        expected = "a tokenizer that the tokenizers library can load"
        refuse_file(file, expected, actual=shown(str(exc)), cause=exc)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
