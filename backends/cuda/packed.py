"""Where the planes of packed weights lie on the device; `kernels/packed_layout.cuh` says what is in them."""

import ctypes
from typing import NamedTuple

from ports.tensor_types import TensorType


class Plane(NamedTuple):
    """A contiguous part of a packed tensor: `size_bytes` for every `num_elements` of a row."""

    name: str
    num_elements: int
    size_bytes: int


class PackedMatrix(ctypes.Structure):
    """The kernels' `struct Matrix`: device addresses of the planes, zero for those the type does not have."""

    _fields_ = (
        ("d_quants", ctypes.c_uint64),
        ("d_super", ctypes.c_uint64),
        ("d_high", ctypes.c_uint64),
        ("d_scales", ctypes.c_uint64),
        ("cols", ctypes.c_int64),
    )


_NIBBLES = Plane("quants", 32, 16)
_FIFTH_BITS = Plane("high", 32, 4)
_SUPER_BLOCKS = Plane("super", 256, 16)

# In the order in which they are stored. Together they have the bytes of the file's blocks.
PLANES: dict[TensorType, tuple[Plane, ...]] = {
    TensorType.F32: (Plane("quants", 1, 4),),
    TensorType.F16: (Plane("quants", 1, 2),),
    TensorType.BF16: (Plane("quants", 1, 2),),
    TensorType.Q4_0: (_NIBBLES, Plane("scales", 32, 2)),
    TensorType.Q4_1: (_NIBBLES, Plane("scales", 32, 4)),
    TensorType.Q5_0: (_NIBBLES, _FIFTH_BITS, Plane("scales", 32, 2)),
    TensorType.Q5_1: (_NIBBLES, _FIFTH_BITS, Plane("scales", 32, 4)),
    TensorType.Q8_0: (Plane("quants", 32, 32), Plane("scales", 32, 2)),
    TensorType.Q4_K: (_NIBBLES, _SUPER_BLOCKS),
    TensorType.Q5_K: (_NIBBLES, _SUPER_BLOCKS, _FIFTH_BITS),
    TensorType.Q6_K: (_NIBBLES, Plane("high", 32, 8), Plane("scales", 32, 2), Plane("super", 256, 2)),
    TensorType.MXFP4: (_NIBBLES, Plane("scales", 32, 1)),
}

DENSE_TYPES = frozenset({TensorType.F32, TensorType.F16, TensorType.BF16})  # stored as in the file


def packed_matrix(
    d_tensor: int, tensor_type: TensorType, *, rows: int, cols: int, first_row: int = 0
) -> PackedMatrix:
    """The matrix of a packed tensor's rows from `first_row` on.

    Args:
        d_tensor: where the tensor starts.
        tensor_type: of the tensor.
        rows: of the whole tensor, experts and all: the planes' places depend on it.
        cols: elements of a row, whole blocks.
        first_row: becomes row 0 of the result.
    """
    matrix = PackedMatrix(cols=cols)
    d_plane = d_tensor
    for plane in PLANES[tensor_type]:
        row_bytes = cols // plane.num_elements * plane.size_bytes
        setattr(matrix, f"d_{plane.name}", d_plane + first_row * row_bytes)
        d_plane += rows * row_bytes
    return matrix
