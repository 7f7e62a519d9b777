"""The vocabulary of a model file: its tokens, their types, and which of them begin and end a text."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from adapters_outbound.tokenizers.end_of_generation import end_of_generation_ids
from adapters_outbound.tokenizers.metadata_reader import MetadataReader

MAX_TOKEN_CHARS = 65_535  # the longest real ones are runs of a few hundred blanks


class TokenType(IntEnum):
    """What a token is for. Source: llama.h `enum llama_token_type`."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Every token of a model, by id. V = number of ids."""

    tokens: list[str]  # [V]
    types: bytes  # [V] a `TokenType` each
    bos_token_id: int | None
    eos_token_id: int | None
    eog_token_ids: frozenset[int]

    def ids_of(self, *types: TokenType) -> dict[str, int]:
        """The ids of all tokens of `types`, by text; of a text that occurs twice, the first."""
        return _ids_of(self.tokens, self.types, types)


def read_vocabulary(
    reader: MetadataReader, *, default_bos_id: int | None = None, default_eos_id: int | None = None
) -> Vocabulary:
    """Read and check the vocabulary.

    Args:
        reader: the file's metadata.
        default_bos_id: BOS where the file names none, if that is a control token.
        default_eos_id: EOS likewise.

    Raises:
        ModelLoadFailed: something in it is missing, of the wrong type or out of range.
    """
    tokens = _read_tokens(reader)
    types = _read_types(reader, tokens)
    if reader.has("tokenizer.ggml.scores"):
        reader.numbers("tokenizer.ggml.scores", dtypes=("float32", "int32"), length=len(tokens))
    control_ids = _ids_of(tokens, types, (TokenType.CONTROL,))
    eog_token_ids = end_of_generation_ids(reader, control_ids, vocab_size=len(tokens))
    bos_token_id = reader.token_id("tokenizer.ggml.bos_token_id", vocab_size=len(tokens))
    if bos_token_id is None and default_bos_id in control_ids.values():
        bos_token_id = default_bos_id
    eos_token_id = reader.token_id("tokenizer.ggml.eos_token_id", vocab_size=len(tokens))
    if eos_token_id is None and default_eos_id in control_ids.values():
        eos_token_id = default_eos_id
    if eos_token_id is not None:
        eog_token_ids |= {eos_token_id}
    return Vocabulary(
        tokens,
        types,
        bos_token_id=bos_token_id,
        eos_token_id=eos_token_id,
        eog_token_ids=eog_token_ids,
    )


def read_adds_bos(reader: MetadataReader, vocabulary: Vocabulary, *, default: bool) -> bool:
    """Whether BOS goes before a prompt: as the file says, or else by `default`.

    Raises:
        ModelLoadFailed: the file says so and has no BOS.
    """
    key = "tokenizer.ggml.add_bos_token"
    if vocabulary.bos_token_id is not None:
        return reader.flag(key, default=default)
    if reader.flag(key, default=False):
        reader.refuse("tokenizer.ggml.bos_token_id", f"a token id, since {key} is true", actual="no such key")
    return False


def _read_tokens(reader: MetadataReader) -> list[str]:
    key = "tokenizer.ggml.tokens"
    tokens = reader.texts(key)
    if not tokens:
        reader.refuse(key, "at least one token", actual="none")
    longest = max(map(len, tokens))
    if longest > MAX_TOKEN_CHARS:
        reader.refuse(key, f"tokens of at most {MAX_TOKEN_CHARS} characters", actual=f"one of {longest}")
    if "" in tokens:
        reader.refuse(key, "tokens that are not empty", actual=f"an empty one, id {tokens.index('')}")
    return tokens


def _read_types(reader: MetadataReader, tokens: list[str]) -> bytes:
    key = "tokenizer.ggml.token_type"
    numbers = reader.numbers(key, dtypes=("int32",), length=len(tokens))
    unknown = set(np.unique(numbers).tolist()).difference(TokenType)
    if unknown:
        reader.refuse(key, "token types from 1 to 6", actual=f"{min(unknown)}")
    types = numbers.astype(np.uint8)
    for token_id, token in enumerate(tokens):
        # older converters give the filler of a padded vocabulary the types of real tokens
        if token.startswith("[PAD") and token == f"[PAD{token_id}]":
            types[token_id] = TokenType.UNUSED
    return types.tobytes()


def _ids_of(tokens: list[str], types: bytes, wanted: tuple[TokenType, ...]) -> dict[str, int]:
    found: list[int] = np.flatnonzero(np.isin(np.frombuffer(types, np.uint8), wanted)).tolist()
    found.reverse()  # so that the first of a text is the last to be set
    return {tokens[token_id]: token_id for token_id in found}
