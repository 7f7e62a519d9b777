"""Synthetic vocabularies of true size, with the special tokens of the published ones at their true ids.

Text tokens are one, two and three characters of ASCII; every byte has a token, so any text can be encoded.
"""

from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from adapters_outbound.tokenizers.byte_alphabet import CHARACTER_OF_BYTE
from tools.gguf_export.metadata import WritableValue
from tools.true_size.special_tokens import BYTE, NORMAL, SpecialTokens

_PRINTABLE = [chr(code) for code in range(0x21, 0x7F)]
_STRIDE = 48_271  # walks through all triples: it has no factor in common with their number, a power of 95


def byte_level_vocabulary(vocab_size: int, specials: SpecialTokens) -> dict[str, WritableValue]:
    """Byte-level BPE: 256 bytes, one merge for each token after them, then the special tokens."""
    num_plain = vocab_size - len(specials.last)
    pieces = list(islice(_pieces("Ġ"), num_plain - 256))
    return {
        "tokenizer.ggml.tokens": [
            *CHARACTER_OF_BYTE.values(),
            *(left + right for left, right in pieces),
            *(token.text for token in specials.last),
        ],
        "tokenizer.ggml.token_type": _types([NORMAL] * num_plain, specials),
        "tokenizer.ggml.merges": [f"{left} {right}" for left, right in pieces],
    }


def sentencepiece_vocabulary(vocab_size: int, specials: SpecialTokens) -> dict[str, WritableValue]:
    """Special tokens, 256 bytes, merged tokens by falling score, single characters, special tokens."""
    characters = ["\u2581", *_PRINTABLE]
    num_pieces = vocab_size - len(specials.first) - 256 - len(characters) - len(specials.last)
    plain = [left + right for left, right in islice(_pieces("\u2581"), num_pieces)] + characters
    num_fixed = len(specials.first) + 256
    return {
        "tokenizer.ggml.tokens": [
            *(token.text for token in specials.first),
            *(f"<0x{byte:02X}>" for byte in range(256)),
            *plain,
            *(token.text for token in specials.last),
        ],
        "tokenizer.ggml.scores": np.concatenate(
            [np.zeros(num_fixed), -np.arange(len(plain)), np.full(len(specials.last), -1000)]
        ).astype(np.float32),
        "tokenizer.ggml.token_type": _types([BYTE] * 256 + [NORMAL] * len(plain), specials),
    }


def _pieces(blank: str) -> Iterator[tuple[str, str]]:
    """Two parts of each merged token: all pairs of characters, then a pair and a character, spread evenly."""
    characters = [blank, *_PRINTABLE]
    base = len(characters)
    for number in range(base**2):
        yield characters[number // base], characters[number % base]
    for step in range(base**3):
        first, number = divmod(step * _STRIDE % base**3, base**2)
        yield characters[first] + characters[number // base], characters[number % base]


def _types(plain: list[int], specials: SpecialTokens) -> NDArray[np.generic]:
    first, last = ([token.type for token in tokens] for tokens in (specials.first, specials.last))
    return np.array(first + plain + last, dtype=np.int32)
