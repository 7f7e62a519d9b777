"""Blocks to numbers as the specification's §10 words it: one element after another, in plain Python.

Products are exact in a float of 64 bits; what is added to one is added in 32, as the types are defined.
"""

import struct
from collections.abc import Callable, Iterator

import numpy as np

from ports.tensor_types import TensorType as T

_MXFP4_CODES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)


def naive_values(block: bytes, tensor_type: T) -> list[float]:
    """The elements of one block, in order."""
    return [float(np.float32(value)) for value in _READERS[tensor_type](block)]


def _f16(block: bytes, at: int) -> float:
    value: float = struct.unpack_from("<e", block, at)[0]
    return value


def _sum(product: float, minimum: float) -> float:
    return float(np.float32(product) + np.float32(minimum))


def _nibbles(stored: bytes) -> list[int]:
    """Low nibbles first, then high ones."""
    return [byte & 15 for byte in stored] + [byte >> 4 for byte in stored]


def _fifth_bits(block: bytes, at: int) -> list[int]:
    (bits,) = struct.unpack_from("<I", block, at)
    return [bits >> j & 1 for j in range(32)]


def _f32(block: bytes) -> list[float]:
    return list(struct.unpack("<f", block))


def _plain_f16(block: bytes) -> list[float]:
    return [_f16(block, 0)]


def _bf16(block: bytes) -> list[float]:
    return _f32(bytes(2) + block)


def _q4_0(block: bytes) -> list[float]:
    return [(q - 8) * _f16(block, 0) for q in _nibbles(block[2:])]


def _q4_1(block: bytes) -> list[float]:
    return [_sum(q * _f16(block, 0), _f16(block, 2)) for q in _nibbles(block[4:])]


def _q5_0(block: bytes) -> list[float]:
    pairs = zip(_nibbles(block[6:]), _fifth_bits(block, 2), strict=True)
    return [(q + 16 * bit - 16) * _f16(block, 0) for q, bit in pairs]


def _q5_1(block: bytes) -> list[float]:
    pairs = zip(_nibbles(block[8:]), _fifth_bits(block, 4), strict=True)
    return [_sum((q + 16 * bit) * _f16(block, 0), _f16(block, 2)) for q, bit in pairs]


def _q8_0(block: bytes) -> list[float]:
    return [q * _f16(block, 0) for q in struct.unpack("<32b", block[2:])]


def _six_bits(b: bytes, j: int) -> tuple[int, int]:
    """(scale, minimum) of sub-block j from the twelve packed bytes."""
    if j < 4:
        return b[j] & 63, b[j + 4] & 63
    return (b[j + 4] & 15) | (b[j - 4] >> 6) << 4, b[j + 4] >> 4 | (b[j] >> 6) << 4


def _k_values(block: bytes, codes: Callable[[int, int], int]) -> Iterator[float]:
    """Q4_K and Q5_K: `codes(sub_block, element)`."""
    d, dmin = _f16(block, 0), _f16(block, 2)
    for s in range(8):
        scale, minimum = _six_bits(block[4:16], s)
        for j in range(32):
            yield _sum(d * scale * codes(s, j), -(dmin * minimum))


def _nibble_of_span(stored: bytes, s: int, j: int) -> int:
    """Of each 64 elements the low nibbles are the first 32, the high ones the next."""
    return stored[32 * (s // 2) + j] >> 4 * (s % 2) & 15


def _q4_k(block: bytes) -> list[float]:
    return list(_k_values(block, lambda s, j: _nibble_of_span(block[16:], s, j)))


def _q5_k(block: bytes) -> list[float]:
    fifth = block[16:48]
    return list(_k_values(block, lambda s, j: _nibble_of_span(block[48:], s, j) + 16 * (fifth[j] >> s & 1)))


def _q6_k(block: bytes) -> list[float]:
    scales, d = struct.unpack("<16b", block[192:208]), _f16(block, 208)
    values = []
    for i in range(256):
        half, e = divmod(i, 128)
        low = block[64 * half + e % 64] >> 4 * (e // 64) & 15
        high = block[128 + 32 * half + e % 32] >> 2 * (e // 32) & 3
        values.append(d * scales[i // 16] * (low + 16 * high - 32))
    return values


def _mxfp4(block: bytes) -> list[float]:
    scale = 2.0 ** (block[0] - 127)
    return [(-scale if q & 8 else scale) * _MXFP4_CODES[q & 7] for q in _nibbles(block[1:])]


_READERS: dict[T, Callable[[bytes], list[float]]] = {
    T.F32: _f32,
    T.F16: _plain_f16,
    T.BF16: _bf16,
    T.Q4_0: _q4_0,
    T.Q4_1: _q4_1,
    T.Q5_0: _q5_0,
    T.Q5_1: _q5_1,
    T.Q8_0: _q8_0,
    T.Q4_K: _q4_k,
    T.Q5_K: _q5_k,
    T.Q6_K: _q6_k,
    T.MXFP4: _mxfp4,
}
