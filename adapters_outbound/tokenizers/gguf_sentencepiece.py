"""SentencePiece-style BPE from a model file (`tokenizer.ggml.model` = `llama`): Llama 2, Phi-3, Mistral.

Which text is put in front of what, and what counts where a key is missing, is from llama.cpp,
`llama-vocab.cpp`; that control, unknown and byte tokens are never made by merging is from SentencePiece:
text that a user typed must not become markup.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import groupby

import numpy as np

from adapters_outbound.tokenizers.byte_alphabet import UTF8_BYTES
from adapters_outbound.tokenizers.metadata_reader import MetadataReader
from adapters_outbound.tokenizers.score_merging import ScoreMerger
from adapters_outbound.tokenizers.special_tokens import SpecialTokenSplitter
from adapters_outbound.tokenizers.vocabulary import TokenType, Vocabulary, read_adds_bos, read_vocabulary
from ports.tokenizer import TokenizerKind

BLANK = "\u2581"  # stands for a blank in every token
_CACHED_WORDS = 16_384
_CACHED_WORD_CHARS = 48
_MERGEABLE = (TokenType.NORMAL, TokenType.USER_DEFINED, TokenType.UNUSED)
_DEFAULT_BOS_ID, _DEFAULT_EOS_ID = 1, 2
# their `tokenizer.json` strips the blanks after markup; a model file can say that only by its name
_STRIPPING_NAMES = ("phi-3", "phi3")
_NEVER_STRIPPING = ("<unk>", "<s>", "<|endoftext|>")


class GgufSentencePieceTokenizer:
    """A `Tokenizer` for BPE by score with `▁` for blanks and bytes for unknown characters.

    A blank is put before the text, and before any text after a special token, where the file does not say
    otherwise; so the bytes of the ids of a text begin with a blank that is not in the text.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        merger: ScoreMerger,
        *,
        unknown_id: int | None,
        adds_bos: bool,
        adds_space_prefix: bool,
        strips_after: frozenset[int],
    ) -> None:
        """Combine the parts.

        Args:
            vocabulary: every token.
            merger: cuts text without special tokens into tokens of `vocabulary` and single characters.
            unknown_id: stands for characters that have neither a token nor bytes.
            adds_bos: whether the model's own rule puts BOS before a prompt.
            adds_space_prefix: whether a blank is put before text.
            strips_after: special tokens after which blanks are dropped.
        """
        self._vocabulary = vocabulary
        self._merger = merger
        self._unknown_id = unknown_id
        self._adds_bos = adds_bos
        self._adds_space_prefix = adds_space_prefix
        self._ids = vocabulary.ids_of(TokenType.NORMAL, TokenType.USER_DEFINED)
        self._byte_ids = _byte_ids(vocabulary)
        self._bytes = {token_id: bytes([byte]) for byte, token_id in self._byte_ids.items()}
        user_defined = vocabulary.ids_of(TokenType.USER_DEFINED)
        specials = vocabulary.ids_of(TokenType.USER_DEFINED, TokenType.CONTROL, TokenType.UNKNOWN)
        self._user_defined = SpecialTokenSplitter(user_defined, strips_after=strips_after)
        self._specials = SpecialTokenSplitter(specials, strips_after=strips_after)
        self._encode_word_cached = lru_cache(_CACHED_WORDS)(self._encode_word)

    @property
    def kind(self) -> TokenizerKind:
        return "gguf-bpe"

    @property
    def vocab_size(self) -> int:
        return len(self._vocabulary.tokens)

    @property
    def bos_token_id(self) -> int | None:
        return self._vocabulary.bos_token_id

    @property
    def eos_token_id(self) -> int | None:
        return self._vocabulary.eos_token_id

    @property
    def eog_token_ids(self) -> frozenset[int]:
        return self._vocabulary.eog_token_ids

    @property
    def adds_bos(self) -> bool:
        return self._adds_bos

    @property
    def adds_space_prefix(self) -> bool:
        """Whether the bytes of an encoded text begin with a blank that was not in it."""
        return self._adds_space_prefix

    def encode(self, text: str, *, add_bos: bool, parse_special: bool) -> list[int]:
        bos_token_id = self.bos_token_id
        token_ids = [bos_token_id] if add_bos and bos_token_id is not None else []
        after_special = True
        for piece in (self._specials if parse_special else self._user_defined).split(text):
            if isinstance(piece, int):
                token_ids.append(piece)
            else:
                prefix = " " if after_special and self._adds_space_prefix else ""
                token_ids += self._encode_text(prefix + piece)
            after_special = isinstance(piece, int)
        return token_ids

    def decode_bytes(self, token_id: int) -> bytes:
        """The bytes of one id; none for an id past the vocabulary, which padded logits can yield."""
        if not 0 <= token_id < self.vocab_size:
            return b""
        if self._vocabulary.types[token_id] in (TokenType.NORMAL, TokenType.USER_DEFINED):
            return self._vocabulary.tokens[token_id].replace(BLANK, " ").encode()
        return self._bytes.get(token_id, b"")

    def _encode_text(self, text: str) -> Iterable[int]:
        token_ids: list[int] = []
        for word in self._merger.words(text.replace(" ", BLANK)):
            known = len(word) <= _CACHED_WORD_CHARS
            token_ids += (self._encode_word_cached if known else self._encode_word)(word)
        return _without_runs_of(self._unknown_id, token_ids)

    def _encode_word(self, word: str) -> tuple[int, ...]:
        return tuple(token_id for token in self._merger.merge(word) for token_id in self._ids_of(token))

    def _ids_of(self, token: str) -> tuple[int, ...]:
        if token in self._ids:
            return (self._ids[token],)
        data = token.encode()
        if self._unknown_id is None or all(byte in self._byte_ids for byte in data):
            return tuple(self._byte_ids[byte] for byte in data)
        return (self._unknown_id,)


def build_gguf_sentencepiece(reader: MetadataReader) -> GgufSentencePieceTokenizer:
    """Build the tokenizer that the metadata describes.

    Raises:
        ModelLoadFailed: the description is incomplete or inconsistent.
    """
    vocabulary = read_vocabulary(reader, default_bos_id=_DEFAULT_BOS_ID, default_eos_id=_DEFAULT_EOS_ID)
    unknown_id = _read_unknown_id(reader, vocabulary)
    _check_bytes(reader, vocabulary, unknown_id)
    return GgufSentencePieceTokenizer(
        vocabulary,
        _read_merger(reader, vocabulary),
        unknown_id=unknown_id,
        adds_bos=read_adds_bos(reader, vocabulary, default=True),
        adds_space_prefix=reader.flag("tokenizer.ggml.add_space_prefix", default=True),
        strips_after=_read_strips_after(reader, vocabulary),
    )


def _read_merger(reader: MetadataReader, vocabulary: Vocabulary) -> ScoreMerger:
    key = "tokenizer.ggml.scores"
    size = len(vocabulary.tokens)
    scores = reader.numbers(key, dtypes=("float32", "int32"), length=size).astype(np.float32)
    if np.isnan(scores).any():
        reader.refuse(key, "scores that are numbers", actual=f"NaN, id {int(np.isnan(scores).argmax())}")
    values: list[float] = scores.tolist()
    mergeable = {token: values[token_id] for token, token_id in vocabulary.ids_of(*_MERGEABLE).items()}
    used = vocabulary.ids_of(TokenType.NORMAL, TokenType.USER_DEFINED)
    return ScoreMerger(mergeable, unused=frozenset(mergeable.keys() - used.keys()))


def _byte_ids(vocabulary: Vocabulary) -> dict[int, int]:
    """The ids of the byte tokens, by byte."""
    return {int(text[3:5], 16): token_id for text, token_id in vocabulary.ids_of(TokenType.BYTE).items()}


def _check_bytes(reader: MetadataReader, vocabulary: Vocabulary, unknown_id: int | None) -> None:
    """Refuse byte tokens that name no byte, and a vocabulary in which some character has no ids."""
    names = {f"<0x{byte:02X}>" for byte in range(0x100)}
    for text in vocabulary.ids_of(TokenType.BYTE):
        if text not in names:
            reader.refuse(
                "tokenizer.ggml.tokens", "byte tokens from <0x00> to <0xFF>", actual=f"{text!r:.80}"
            )
    missing = UTF8_BYTES - _byte_ids(vocabulary).keys()
    if missing and unknown_id is None:
        reader.refuse(
            "tokenizer.ggml.tokens",
            "a token for every byte of UTF-8, or one for what is unknown",
            actual=f"{len(missing)} bytes without one, first {min(missing):#04x}",
        )


def _read_unknown_id(reader: MetadataReader, vocabulary: Vocabulary) -> int | None:
    unknown_id = reader.token_id("tokenizer.ggml.unknown_token_id", vocab_size=len(vocabulary.tokens))
    if unknown_id is None:
        unknown_id = min(vocabulary.ids_of(TokenType.UNKNOWN).values(), default=None)
    return unknown_id


def _read_strips_after(reader: MetadataReader, vocabulary: Vocabulary) -> frozenset[int]:
    name = reader.text("general.name").lower() if reader.has("general.name") else ""
    if not any(stripping in name for stripping in _STRIPPING_NAMES):
        return frozenset()
    specials = vocabulary.ids_of(TokenType.USER_DEFINED, TokenType.CONTROL, TokenType.UNKNOWN)
    return frozenset(token_id for text, token_id in specials.items() if text not in _NEVER_STRIPPING)


def _without_runs_of(unknown_id: int | None, token_ids: list[int]) -> Iterator[int]:
    """The ids, with each run of the unknown one as a single one."""
    for token_id, run in groupby(token_ids):
        if token_id == unknown_id:
            yield token_id
        else:
            yield from run
