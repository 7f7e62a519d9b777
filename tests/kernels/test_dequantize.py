"""Every stored value as the gguf package computes it, bit for bit."""

from ctypes import c_int64

import numpy as np
import pytest
from gguf import GGMLQuantizationType
from gguf.quants import dequantize
from numpy.typing import NDArray

from backends.cuda.kernel import Argument, pointer
from backends.cuda.packed import DENSE_TYPES, PackedMatrix, packed_matrix
from ports.tensor_types import TensorType
from tests.backends.cuda.packed_reference import any_blocks, float32_bits, pack
from tests.kernels.gpu import Gpu
from tests.kernels.prefill_rows import is_poison, upload_count

pytestmark = [pytest.mark.gpu, pytest.mark.req("M0-W-1201", "M0-W-1435")]

ROWS = 9
CASES = [
    pytest.param(tensor_type, cols, id=f"{tensor_type.name}-{cols}")
    for tensor_type in TensorType
    for cols in (256, 2816, *((1, 31, 40, 333) if tensor_type in DENSE_TYPES else ()))
]
any_matrix = pytest.mark.parametrize(("tensor_type", "cols"), CASES)


def upload(
    gpu: Gpu, tensor_type: TensorType, cols: int, *, first_row: int = 0
) -> tuple[PackedMatrix, NDArray[np.float32]]:
    """A matrix of any content on the device, and its values, from `first_row` on."""
    stored = any_blocks(tensor_type, rows=ROWS, cols=cols)
    d_tensor = gpu.upload(np.frombuffer(pack(tensor_type, stored.tobytes(), rows=ROWS, cols=cols), np.uint8))
    with np.errstate(all="ignore"):
        values = dequantize(stored, GGMLQuantizationType(tensor_type)).reshape(ROWS, cols)
    matrix = packed_matrix(d_tensor, tensor_type, rows=ROWS, cols=cols, first_row=first_row)
    return matrix, np.asarray(values[first_row:], np.float32)


@any_matrix
@pytest.mark.parametrize("first_row", [0, 4])
def test_every_value_is_exact(gpu: Gpu, tensor_type: TensorType, cols: int, first_row: int) -> None:
    """The matrix leaves out `first_row` rows, the launch one more."""
    matrix, values = upload(gpu, tensor_type, cols, first_row=first_row)
    expected = values[1:]
    d_out = gpu.empty(expected.nbytes)

    for _ in range(20):
        gpu.fill(d_out, 0xFF, expected.nbytes)
        args: list[Argument] = [matrix, c_int64(1), pointer(d_out)]
        gpu.launch("dequantize.cu", f"dequantize<{tensor_type.name}>", len(expected), 64, args)

        actual = gpu.download(d_out, expected.shape, np.float32)
        np.testing.assert_array_equal(float32_bits(expected), float32_bits(actual))


@any_matrix
def test_rows_are_gathered_by_id_and_those_of_positions_added(
    gpu: Gpu, tensor_type: TensorType, cols: int
) -> None:
    """The launch serves two rows more than there are, which nobody is to touch."""
    matrix, values = upload(gpu, tensor_type, cols)
    d_out = gpu.empty(6 * cols * 4)
    taken, added = np.array([8, 0, 3, 3], np.int32), np.array([0, 1, 2, 8], np.int32)

    def gather(ids: NDArray[np.int32], adds: str) -> NDArray[np.float32]:
        args: list[Argument] = [
            matrix,
            pointer(gpu.upload(ids)),
            pointer(d_out),
            pointer(upload_count(gpu, 4)),
        ]
        gpu.launch("dequantize.cu", f"gather_rows<{tensor_type.name}, {adds}>", 6, 128, args)
        rows = gpu.download(d_out, (6, cols), np.float32)
        assert is_poison(rows[4:])
        return rows[:4]

    gathered, summed = gather(taken, "false"), gather(added, "true")

    np.testing.assert_array_equal(float32_bits(values[taken]), float32_bits(gathered))
    with np.errstate(all="ignore"):
        expected = values[taken] + values[added]
    np.testing.assert_array_equal(float32_bits(expected), float32_bits(summed))
