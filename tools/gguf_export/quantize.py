"""Turn float32 rows into the stored blocks of a tensor type."""

from collections.abc import Callable, Iterator

import numpy as np
from gguf import GGMLQuantizationType
from gguf import quants as gguf_quants
from numpy.typing import NDArray

from ports.tensor_types import TensorType
from tools.gguf_export.k_quants import SUPER_BLOCK, quantize_q4_k, quantize_q5_k, quantize_q6_k

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

_K_QUANTS: dict[TensorType, Callable[[Floats], Bytes]] = {
    TensorType.Q4_K: quantize_q4_k,
    TensorType.Q5_K: quantize_q5_k,
    TensorType.Q6_K: quantize_q6_k,
}
# Where the f16 scales lie in a block; a value beyond f16 would make them infinite.
_SCALE_OFFSETS: dict[TensorType, tuple[int, ...]] = {
    TensorType.F16: (0,),
    TensorType.Q4_0: (0,),
    TensorType.Q4_1: (0, 2),
    TensorType.Q5_0: (0,),
    TensorType.Q5_1: (0, 2),
    TensorType.Q8_0: (0,),
    TensorType.Q4_K: (0, 2),
    TensorType.Q5_K: (0, 2),
    TensorType.Q6_K: (208,),
}
# Smaller numbers become 0 in every block format anyway; as they are, their reciprocals overflow float32,
# and MXFP4's exponent would wrap in the gguf package.
_SMALLEST = np.float32(2.0**-90)
_CHUNK_BLOCKS = 512  # 512 KiB of float32: the search passes over it some twenty times, so it must fit a cache


def quantize(values: Floats, kind: TensorType | str) -> Bytes:
    """Quantize rows to the stored bytes of `kind`.

    Args:
        values: [rows, cols] float32, finite; cols a multiple of the type's block.
        kind: the type, or its name, such as "Q4_K".

    Returns:
        [rows, row_bytes].

    Raises:
        ValueError: unknown type, wrong shape or row length, a number not finite or too large for the type.
    """
    tensor_type = tensor_type_of(kind)
    _check(values, tensor_type)
    single = np.ascontiguousarray(values, dtype="<f4")
    if tensor_type is TensorType.F32:
        return single.view(np.uint8)
    if tensor_type.block.num_elements > 1:
        single = np.where(np.abs(single) < _SMALLEST, np.float32(0), single)
    with np.errstate(over="ignore", invalid="ignore"):  # a scale that overflows is refused below
        stored = _k_rows(single, tensor_type) if tensor_type in _K_QUANTS else _gguf_rows(single, tensor_type)
    _refuse_infinite_scales(stored, tensor_type)
    return stored


def tensor_type_of(kind: TensorType | str) -> TensorType:
    """The type itself, or the one of that name.

    Raises:
        ValueError: there is no such type; the message lists those there are.
    """
    if isinstance(kind, TensorType):
        return kind
    if kind not in TensorType.__members__:
        raise ValueError(f"unknown tensor type {kind!r}; there are {', '.join(TensorType.__members__)}")
    return TensorType[kind]


def _check(values: Floats, kind: TensorType) -> None:
    if values.ndim != 2 or values.size == 0:
        raise ValueError(f"expected [rows, cols], each at least 1, got {list(values.shape)}")
    if values.shape[1] % kind.block.num_elements:
        raise ValueError(
            f"a row of {values.shape[1]} is no multiple of {kind.name}'s block of {kind.block.num_elements}"
        )
    if not np.isfinite(values).all():
        raise ValueError("the values hold NaN or infinity")
    if np.abs(values).max() > _largest(kind):
        raise ValueError(f"a value is too large for {kind.name}")


def _largest(kind: TensorType) -> float:
    """Magnitude beyond which the arithmetic of quantizing may overflow, whatever the block."""
    if kind is TensorType.BF16:
        return 2.0**128 - 2.0**120
    return 2.0**30 if kind in _SCALE_OFFSETS else np.inf


def _k_rows(values: Floats, kind: TensorType) -> Bytes:
    blocks = values.reshape(-1, SUPER_BLOCK)
    stored = np.concatenate([_K_QUANTS[kind](chunk) for chunk in _chunks(blocks)])
    return stored.reshape(values.shape[0], -1)


def _chunks(blocks: Floats) -> Iterator[Floats]:
    for start in range(0, len(blocks), _CHUNK_BLOCKS):
        yield blocks[start : start + _CHUNK_BLOCKS]


def _gguf_rows(values: Floats, kind: TensorType) -> Bytes:
    stored: Bytes = gguf_quants.quantize(values, GGMLQuantizationType(kind)).view(np.uint8)
    return stored


def _refuse_infinite_scales(stored: Bytes, kind: TensorType) -> None:
    blocks = stored.reshape(-1, kind.block.size_bytes)
    for offset in _SCALE_OFFSETS.get(kind, ()):
        scales = np.ascontiguousarray(blocks[:, offset : offset + 2]).view("<f2")
        if not np.isfinite(scales).all():
            raise ValueError(f"a value is too large for {kind.name}: its f16 scale overflows")
