"""The metadata of a vocabulary of single bytes and of what a test adds to it."""

from collections.abc import Mapping, Sequence

import numpy as np
from tokenizers.pre_tokenizers import ByteLevel

from adapters_outbound.tokenizers.factory import build_tokenizer
from adapters_outbound.tokenizers.vocabulary import TokenType
from ports.model_file import MetadataValue
from ports.tokenizer import Tokenizer

BYTES = sorted(ByteLevel.alphabet())
FIRST_ID = len(BYTES)  # of the first token added
PATH = "/models/tiny.gguf"

NORMAL, UNKNOWN, CONTROL = TokenType.NORMAL, TokenType.UNKNOWN, TokenType.CONTROL
USER_DEFINED, UNUSED, BYTE = TokenType.USER_DEFINED, TokenType.UNUSED, TokenType.BYTE


def metadata_of(
    *added: tuple[str, TokenType],
    merges: Sequence[str] = (),
    pre: str = "gpt-2",
    keys: Mapping[str, MetadataValue] | None = None,
) -> dict[str, MetadataValue]:
    """Metadata with the tokens `added` after the bytes, and `keys` of `tokenizer.ggml` set."""
    types = [NORMAL] * len(BYTES) + [token_type for _, token_type in added]
    metadata: dict[str, MetadataValue] = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": BYTES + [token for token, _ in added],
        "tokenizer.ggml.token_type": np.array(types, dtype=np.int32),
        "tokenizer.ggml.merges": list(merges),
    }
    return metadata | {f"tokenizer.ggml.{key}": value for key, value in (keys or {}).items()}


def tokenizer_of(
    *added: tuple[str, TokenType],
    merges: Sequence[str] = (),
    pre: str = "gpt-2",
    keys: Mapping[str, MetadataValue] | None = None,
) -> Tokenizer:
    """The tokenizer of `metadata_of` the same."""
    return build_tokenizer(metadata_of(*added, merges=merges, pre=pre, keys=keys), path=PATH)


def ids_of(text: str) -> list[int]:
    """The ids of `text` byte by byte, for printable ASCII."""
    return [BYTES.index(character) for character in text]
