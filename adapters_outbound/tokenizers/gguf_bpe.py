"""Byte-level BPE from a model file (`tokenizer.ggml.model` = `gpt2`): GPT-2, Qwen, Llama 3, GPT-OSS."""

from tokenizers import Tokenizer

from adapters_outbound.tokenizers.byte_alphabet import CHARACTER_OF_BYTE, UTF8_BYTES, bytes_of
from adapters_outbound.tokenizers.merges import build_bpe
from adapters_outbound.tokenizers.metadata_reader import MetadataReader
from adapters_outbound.tokenizers.pre_tokenizers import read_pre_tokenizer_rule
from adapters_outbound.tokenizers.special_tokens import SpecialTokenSplitter
from adapters_outbound.tokenizers.vocabulary import TokenType, Vocabulary, read_adds_bos, read_vocabulary
from ports.tokenizer import TokenizerKind


class GgufBpeTokenizer:
    """A `Tokenizer` for byte-level BPE. Text is not normalised, and no space is put before it."""

    def __init__(self, vocabulary: Vocabulary, words: Tokenizer, *, adds_bos: bool) -> None:
        """Combine the parts.

        Args:
            vocabulary: every token.
            words: encodes text without special tokens; its ids are those of `vocabulary`.
            adds_bos: whether the model's own rule puts BOS before a prompt.
        """
        self._vocabulary = vocabulary
        self._words = words
        self._adds_bos = adds_bos
        self._user_defined = SpecialTokenSplitter(vocabulary.ids_of(TokenType.USER_DEFINED))
        self._specials = SpecialTokenSplitter(
            vocabulary.ids_of(TokenType.USER_DEFINED, TokenType.CONTROL, TokenType.UNKNOWN)
        )

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

    def encode(self, text: str, *, add_bos: bool, parse_special: bool) -> list[int]:
        bos_token_id = self.bos_token_id
        token_ids = [bos_token_id] if add_bos and bos_token_id is not None else []
        for piece in (self._specials if parse_special else self._user_defined).split(text):
            if isinstance(piece, int):
                token_ids.append(piece)
            else:
                # a batch of one, since `encode` keeps the interpreter lock and would stall every stream
                token_ids += self._words.encode_batch_fast([piece], add_special_tokens=False)[0].ids
        return token_ids

    def decode_bytes(self, token_id: int) -> bytes:
        """The bytes of one id; none for an id past the vocabulary, which padded logits can yield."""
        if not 0 <= token_id < self.vocab_size:
            return b""
        token, token_type = self._vocabulary.tokens[token_id], self._vocabulary.types[token_id]
        if token_type == TokenType.NORMAL:
            return bytes_of(token)
        return token.encode() if token_type == TokenType.USER_DEFINED else b""


def build_gguf_bpe(reader: MetadataReader) -> GgufBpeTokenizer:
    """Build the tokenizer that the metadata describes.

    Raises:
        ModelLoadFailed: the description is incomplete, inconsistent or of a kind not supported.
    """
    rule = read_pre_tokenizer_rule(reader)
    vocabulary = read_vocabulary(reader)
    mergeable = vocabulary.ids_of(TokenType.NORMAL)
    _check_bytes(reader, vocabulary, mergeable)
    words = Tokenizer(
        build_bpe(reader, tokens=vocabulary.tokens, mergeable=mergeable, ignore_merges=rule.ignore_merges)
    )
    words.pre_tokenizer = rule.build()
    return GgufBpeTokenizer(
        vocabulary, words, adds_bos=read_adds_bos(reader, vocabulary, default=rule.adds_bos)
    )


def _check_bytes(reader: MetadataReader, vocabulary: Vocabulary, mergeable: dict[str, int]) -> None:
    """Refuse a vocabulary in which some text has no ids: the library would drop it without a word."""
    missing = [byte for byte in sorted(UTF8_BYTES) if CHARACTER_OF_BYTE[byte] not in mergeable]
    if missing:
        reader.refuse(
            "tokenizer.ggml.tokens",
            "a token for every byte of UTF-8",
            actual=f"{len(missing)} bytes without one, first {missing[0]:#04x}",
        )
    if TokenType.BYTE in vocabulary.types:
        reader.refuse(
            "tokenizer.ggml.token_type",
            "no byte tokens in a byte-level vocabulary",
            actual=f"one, id {vocabulary.types.index(TokenType.BYTE)}",
        )
