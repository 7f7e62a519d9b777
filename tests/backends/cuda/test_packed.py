"""Packed weights hold what the file holds, in as many bytes."""

import numpy as np
import pytest
from gguf import GGMLQuantizationType
from gguf.quants import dequantize

from backends.cuda.packed import DENSE_TYPES, PLANES, packed_matrix
from ports.tensor_types import TensorType
from tests.backends.cuda.packed_reference import Bytes, any_blocks, float32_bits, pack, unpack

QUANTIZED_TYPES = [tensor_type for tensor_type in TensorType if tensor_type not in DENSE_TYPES]
ROWS, COLS = 7, 768

all_types = pytest.mark.parametrize("tensor_type", TensorType, ids=lambda tensor_type: tensor_type.name)
quantized_types = pytest.mark.parametrize("tensor_type", QUANTIZED_TYPES, ids=lambda t: t.name)


def constant_blocks(tensor_type: TensorType, byte: int) -> Bytes:
    return np.full((ROWS, tensor_type.row_bytes(COLS)), byte, np.uint8)


@pytest.mark.req("M0-W-1201")
@all_types
@pytest.mark.parametrize("byte", [None, 0x00, 0x01, 0x7F, 0x80, 0xFF])
def test_packed_weights_have_the_very_values_of_the_file(tensor_type: TensorType, byte: int | None) -> None:
    stored = constant_blocks(tensor_type, byte or 0)
    if byte is None:
        stored = any_blocks(tensor_type, rows=ROWS, cols=COLS)

    packed = pack(tensor_type, stored.tobytes(), rows=ROWS, cols=COLS)

    with np.errstate(all="ignore"):
        expected = dequantize(stored, GGMLQuantizationType(tensor_type)).reshape(ROWS, COLS)
    values = unpack(tensor_type, packed, rows=ROWS, cols=COLS)
    np.testing.assert_array_equal(float32_bits(expected), float32_bits(values))


@pytest.mark.req("M0-W-1201", "M0-W-1220")
@all_types
def test_planes_take_the_bytes_of_the_file(tensor_type: TensorType) -> None:
    num_bytes = sum(256 // plane.num_elements * plane.size_bytes for plane in PLANES[tensor_type])

    assert tensor_type.row_bytes(256) == num_bytes


@pytest.mark.req("M0-W-1201")
@quantized_types
def test_packing_loses_no_bit(tensor_type: TensorType) -> None:
    """Each bit of a block, turned by itself, turns one bit of the planes, another each time."""
    _, block_bytes = tensor_type.block
    cols = tensor_type.block.num_elements
    packed_zeros = np.frombuffer(pack(tensor_type, bytes(block_bytes), rows=1, cols=cols), np.uint8)
    places = set()
    for bit in range(8 * block_bytes):
        stored = np.zeros(block_bytes, np.uint8)
        stored[bit // 8] = 1 << bit % 8
        packed = np.frombuffer(pack(tensor_type, stored.tobytes(), rows=1, cols=cols), np.uint8)
        (changed,) = np.flatnonzero(np.unpackbits(packed ^ packed_zeros))
        places.add(changed)

    assert 8 * block_bytes == len(places)


@pytest.mark.req("M0-W-1201")
def test_a_matrix_of_some_rows_points_into_the_planes_of_the_whole_tensor() -> None:
    matrix = packed_matrix(0x10000, TensorType.Q6_K, rows=10, cols=512, first_row=3)

    d_high = 0x10000 + 10 * 256
    d_scales = d_high + 10 * 128
    d_super = d_scales + 10 * 32
    assert 0x10000 + 3 * 256 == matrix.d_quants
    assert d_high + 3 * 128 == matrix.d_high
    assert d_scales + 3 * 32 == matrix.d_scales
    assert d_super + 3 * 4 == matrix.d_super
    assert 512 == matrix.cols


@pytest.mark.req("M0-W-1201")
def test_planes_that_a_type_does_not_have_have_no_address() -> None:
    matrix = packed_matrix(0x10000, TensorType.F16, rows=10, cols=512, first_row=2)

    assert (0x10000 + 2 * 1024, 0, 0, 0) == (
        matrix.d_quants,
        matrix.d_super,
        matrix.d_high,
        matrix.d_scales,
    )


@pytest.mark.req("M0-W-1201")
@quantized_types
def test_every_plane_is_aligned_for_the_accesses_to_it(tensor_type: TensorType) -> None:
    """The kernels read whole entries of 16, 8, 4 or 2 bytes, in tensors that start on 256."""
    matrix = packed_matrix(256, tensor_type, rows=3, cols=tensor_type.block.num_elements * 5, first_row=1)

    for plane in PLANES[tensor_type]:
        assert 0 == getattr(matrix, f"d_{plane.name}") % min(plane.size_bytes, 16)
