"""Packed weights in NumPy, one bit at a time: what the kernels that write and read them are held to.

Source of the file's blocks: ggml-common.h; of the planes: backends/cuda/kernels/packed_layout.cuh.
Letters: B = blocks of the file, N = sub-blocks of 32 elements, b = byte of a word, k = word.
"""

import numpy as np
from numpy.typing import NDArray

from backends.cuda.packed import DENSE_TYPES, PLANES
from ports.tensor_types import TensorType

Bytes = NDArray[np.uint8]
T = TensorType

_ONE, _THREE, _FOUR, _NIBBLE = np.uint8(1), np.uint8(3), np.uint8(4), np.uint8(15)
_ZERO_POINT = {T.Q4_0: 8, T.Q5_0: 16, T.Q6_K: 32}
_FP4_DOUBLED = np.array([0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12])


def any_blocks(tensor_type: TensorType, *, rows: int, cols: int) -> Bytes:
    """[rows, bytes] of any content at all: infinite and subnormal scales, the extreme exponents, NaN."""
    return np.random.default_rng(7).integers(0, 256, (rows, tensor_type.row_bytes(cols)), np.uint8)


def float32_bits(values: NDArray[np.float32]) -> NDArray[np.uint32]:
    """The bits of each value, which tell -0 from 0; one and the same for all that are no number."""
    return np.where(np.isnan(values), np.float32(np.nan), values).view(np.uint32)


def pack(tensor_type: TensorType, stored: bytes, *, rows: int, cols: int) -> bytes:
    """Planes from blocks as the file has them."""
    if tensor_type in DENSE_TYPES:
        return stored
    blocks = np.frombuffer(stored, np.uint8).reshape(-1, tensor_type.block.size_bytes)
    quants = _stored_quants(tensor_type, blocks)
    planes = {
        "quants": _nibbles(quants) if tensor_type is not T.Q8_0 else _halves(quants, rows, cols),
        "high": _high_bits(tensor_type, quants),
        **_scale_planes(tensor_type, blocks),
    }
    return b"".join(np.ascontiguousarray(planes[plane.name]).tobytes() for plane in PLANES[tensor_type])


def unpack(tensor_type: TensorType, packed: bytes, *, rows: int, cols: int) -> NDArray[np.float32]:
    """[rows, cols] values of packed weights, every operation rounded to float32."""
    planes = split_planes(tensor_type, packed, rows=rows, cols=cols)
    if tensor_type is T.F32:
        return planes["quants"].view(np.float32).reshape(rows, cols)
    if tensor_type is T.F16:
        return planes["quants"].view(np.float16).astype(np.float32).reshape(rows, cols)
    if tensor_type is T.BF16:
        return (planes["quants"].view(np.uint16).astype(np.uint32) << 16).view(np.float32).reshape(rows, cols)
    quants = packed_quants(tensor_type, planes, rows=rows, cols=cols)
    scales, biases = packed_scales(tensor_type, planes)
    with np.errstate(all="ignore"):
        values = quants.astype(np.float32).reshape(-1, 2, 16) * scales[:, :, None]
        if biases is not None:
            values = values + biases[:, None, None]
    return values.reshape(rows, cols)


def split_planes(tensor_type: TensorType, packed: bytes, *, rows: int, cols: int) -> dict[str, Bytes]:
    """The bytes of each plane."""
    planes, start = {}, 0
    for plane in PLANES[tensor_type]:
        end = start + rows * cols // plane.num_elements * plane.size_bytes
        planes[plane.name] = np.frombuffer(packed[start:end], np.uint8)
        start = end
    assert start == len(packed)
    return planes


def packed_quants(
    tensor_type: TensorType, planes: dict[str, Bytes], *, rows: int, cols: int
) -> NDArray[np.int64]:
    """[N, 32] quants less their zero point; FP4 values doubled."""
    if tensor_type is T.Q8_0:
        halves = planes["quants"].view(np.int8).reshape(rows, 2, cols // 32, 16)
        return halves.transpose(0, 2, 1, 3).reshape(-1, 32).astype(np.int64)
    nibbles = planes["quants"].reshape(-1, 1, 16) >> np.array([[0], [4]], np.uint8) & 15
    quants = nibbles.reshape(-1, 32).astype(np.int64)
    if tensor_type is T.MXFP4:
        return _FP4_DOUBLED[quants]
    if "high" in planes:
        words = planes["high"].view(np.uint32).reshape(len(quants), -1)
        for i in range(32):
            k, b = i // 4, i % 4
            if tensor_type is T.Q6_K:
                bits = words[:, k // 4] >> (8 * b + 2 * (k % 4)) & 3
            else:
                bits = words[:, 0] >> (8 * b + k) & 1
            quants[:, i] |= bits.astype(np.int64) << 4
    return quants - _ZERO_POINT.get(tensor_type, 0)


def packed_scales(
    tensor_type: TensorType, planes: dict[str, Bytes]
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """[N, 2] factors of a sub-block's halves, and [N] what is added, if anything is."""
    with np.errstate(all="ignore"):
        match tensor_type:
            case T.Q4_K | T.Q5_K:
                d, d_min = planes["super"].view(np.float16).reshape(-1, 8)[:, :2].astype(np.float32).T
                bits = np.unpackbits(planes["super"].reshape(-1, 16)[:, 4:], axis=1, bitorder="little")
                weights = np.array([1, 2, 4, 8, 16, 32], np.float32)
                scale_min = bits.reshape(-1, 8, 2, 6).astype(np.float32) @ weights
                scales = (d[:, None] * scale_min[:, :, 0]).ravel()
                biases = -(d_min[:, None] * scale_min[:, :, 1]).ravel()
                return np.stack([scales, scales], axis=1), biases
            case T.Q6_K:
                d = planes["super"].view(np.float16).astype(np.float32)
                scales = planes["scales"].view(np.int8).astype(np.float32).reshape(-1, 8, 2)
                return (d[:, None, None] * scales).reshape(-1, 2), None
            case T.MXFP4:
                exponents = planes["scales"].astype(np.int64)
                scales = np.ldexp(np.ones(1, np.float32), exponents - 128).astype(np.float32)
                return np.stack([scales, scales], axis=1), None
            case T.Q4_1 | T.Q5_1:
                d, m = planes["scales"].view(np.float16).reshape(-1, 2).astype(np.float32).T
                return np.stack([d, d], axis=1), m
    d = planes["scales"].view(np.float16).astype(np.float32)
    return np.stack([d, d], axis=1), None


def _stored_quants(tensor_type: TensorType, blocks: Bytes) -> Bytes:
    """[N, 32] quants of blocks of the file, all their bits in place."""
    match tensor_type:
        case T.Q8_0:
            return blocks[:, 2:]
        case T.Q4_K:
            return _pairs_of_nibbles(blocks[:, 16:], 32)
        case T.Q5_K:
            fifth = np.stack([blocks[:, 16:48] >> np.uint8(s) & _ONE for s in range(8)], axis=1)
            return _pairs_of_nibbles(blocks[:, 48:], 32) | fifth.reshape(-1, 32) << _FOUR
        case T.Q6_K:
            high = blocks[:, 128:192].reshape(-1, 1, 32) >> np.array([[0], [2], [4], [6]], np.uint8) & _THREE
            return _pairs_of_nibbles(blocks[:, :128], 64) | high.reshape(-1, 32) << _FOUR
    nibbles = _pairs_of_nibbles(blocks[:, -16:], 16)
    if tensor_type in (T.Q5_0, T.Q5_1):
        nibbles = nibbles | np.unpackbits(blocks[:, -20:-16], axis=1, bitorder="little") << _FOUR
    return nibbles


def _pairs_of_nibbles(stored: Bytes, span: int) -> Bytes:
    """[N, 32] from groups of `span` bytes: low nibbles first, then high nibbles."""
    groups = stored.reshape(-1, 1, span)
    return (groups >> np.array([[0], [4]], np.uint8) & _NIBBLE).reshape(-1, 32)


def _nibbles(quants: Bytes) -> Bytes:
    return quants[:, :16] & _NIBBLE | quants[:, 16:] << _FOUR


def _halves(quants: Bytes, rows: int, cols: int) -> Bytes:
    return quants.reshape(rows, cols // 32, 2, 16).transpose(0, 2, 1, 3)


def _high_bits(tensor_type: TensorType, quants: Bytes) -> NDArray[np.uint32]:
    words = np.zeros((len(quants), 2 if tensor_type is T.Q6_K else 1), np.uint32)
    for i in range(32):
        k, b = i // 4, i % 4
        high = quants[:, i].astype(np.uint32) >> 4
        if tensor_type is T.Q6_K:
            words[:, k // 4] |= high << (8 * b + 2 * (k % 4))
        else:
            words[:, 0] |= (high & 1) << (8 * b + k)
    return words


def _scale_planes(tensor_type: TensorType, blocks: Bytes) -> dict[str, Bytes]:
    match tensor_type:
        case T.Q4_K | T.Q5_K:
            return {"super": _super_blocks(blocks[:, :16])}
        case T.Q6_K:
            return {"scales": blocks[:, 192:208], "super": blocks[:, 208:]}
        case T.MXFP4:
            return {"scales": blocks[:, :1]}
        case T.Q4_1 | T.Q5_1:
            return {"scales": blocks[:, :4]}
    return {"scales": blocks[:, :2]}


def _super_blocks(headers: Bytes) -> Bytes:
    """[B, 16]: d and dmin stay; of each sub-block six bits of scale, then six of minimum."""
    packed = headers[:, 4:]
    bits = np.zeros((len(headers), 8, 2, 6), np.uint8)
    for s in range(8):
        if s < 4:
            scale, minimum = packed[:, s] & 63, packed[:, s + 4] & 63
        else:
            scale = packed[:, s + 4] & 15 | packed[:, s - 4] >> 6 << 4
            minimum = packed[:, s + 4] >> 4 | packed[:, s] >> 6 << 4
        for i in range(6):
            bits[:, s, 0, i] = scale >> i & 1
            bits[:, s, 1, i] = minimum >> i & 1
    return np.hstack([headers[:, :4], np.packbits(bits.reshape(-1, 96), axis=1, bitorder="little")])
