"""Blocks of the file become planes, whatever pieces they come in."""

from ctypes import c_int32, c_int64

import numpy as np
import pytest

from backends.cuda.kernel import Argument, pointer
from backends.cuda.packed import DENSE_TYPES, packed_matrix
from ports.tensor_types import TensorType
from tests.backends.cuda.packed_reference import any_blocks, pack
from tests.kernels.gpu import Gpu

pytestmark = [pytest.mark.gpu, pytest.mark.req("M0-W-1201", "M0-W-1222")]

QUANTIZED_TYPES = [tensor_type for tensor_type in TensorType if tensor_type not in DENSE_TYPES]


@pytest.mark.parametrize("tensor_type", QUANTIZED_TYPES, ids=lambda tensor_type: tensor_type.name)
@pytest.mark.parametrize(("rows", "row_blocks"), [(1, 1), (3, 5), (67, 11)])
@pytest.mark.parametrize("piece_blocks", [1000, 4])
def test_the_planes_of_the_reference(
    gpu: Gpu, tensor_type: TensorType, rows: int, row_blocks: int, piece_blocks: int
) -> None:
    num_elements, block_bytes = tensor_type.block
    cols = row_blocks * num_elements
    stored = any_blocks(tensor_type, rows=rows, cols=cols).reshape(-1, block_bytes)
    d_planes = gpu.empty(stored.size + 256)
    matrix = packed_matrix(d_planes, tensor_type, rows=rows, cols=cols)
    for first in range(0, len(stored), piece_blocks):
        piece = stored[first : first + piece_blocks]
        grid = -(-len(piece) * num_elements // 32 // 256)
        args: list[Argument] = [pointer(gpu.upload(piece)), c_int64(first), c_int32(len(piece)), matrix]
        gpu.launch("repack.cu", f"repack<{tensor_type.name}>", grid, 256, args)

    planes = gpu.download(d_planes, (stored.size + 256,), np.uint8)
    assert pack(tensor_type, stored.tobytes(), rows=rows, cols=cols) == planes[: stored.size].tobytes()
    assert 256 * b"\xff" == planes[stored.size :].tobytes()
