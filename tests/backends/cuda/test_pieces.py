"""How tensors are cut for their way to the device."""

from collections.abc import Sequence

import pytest

from backends.cuda.pieces import pieces_of
from backends.cuda.upload import NUM_SLOTS, PIECE_BYTES, host_bytes, largest_piece_bytes
from domain.architectures import describe
from ports.model_file import TensorInfo
from ports.tensor_types import TensorType
from tests.models.tiny import TinyShape, tiny_model

pytestmark = pytest.mark.req("M0-W-1222")


def tensor(
    size_bytes: int, *, tensor_type: TensorType = TensorType.Q4_0, offset_bytes: int = 0
) -> TensorInfo:
    num_elements, block_bytes = tensor_type.block
    return TensorInfo("w", (size_bytes // block_bytes * num_elements,), tensor_type, offset_bytes, size_bytes)


@pytest.mark.parametrize("most_bytes", [256, 1000, 2**20])
@pytest.mark.parametrize("tensor_type", TensorType, ids=lambda tensor_type: tensor_type.name)
def test_pieces_are_whole_blocks_that_together_are_the_tensor(
    tensor_type: TensorType, most_bytes: int
) -> None:
    block_bytes = tensor_type.block.size_bytes
    pieces = list(pieces_of([tensor(101 * block_bytes, tensor_type=tensor_type)], most_bytes))

    ends = [piece.offset_bytes + piece.size_bytes for piece in pieces]
    assert [0, *ends[:-1]] == [piece.offset_bytes for piece in pieces]
    assert 101 * block_bytes == ends[-1]
    assert not any(piece.size_bytes % block_bytes for piece in pieces)
    sizes = [piece.size_bytes for piece in pieces]
    assert max(sizes) <= most_bytes
    assert len(pieces) == -(-101 // (most_bytes // block_bytes))
    assert max(sizes) - min(sizes) < len(pieces) * block_bytes  # as good as equal


def test_tensors_are_read_in_the_order_of_the_file() -> None:
    tensors: Sequence[TensorInfo] = describe(tiny_model(TinyShape(num_layers=3))).tensors

    offsets = [piece.tensor.offset_bytes for piece in pieces_of(reversed(tensors), 2**20)]

    assert sorted(tensor.offset_bytes for tensor in tensors) == offsets


def test_pieces_are_no_larger_than_the_largest_tensor() -> None:
    assert 256 == largest_piece_bytes([tensor(18), tensor(180)])
    assert PIECE_BYTES == largest_piece_bytes([tensor(18), tensor(PIECE_BYTES // 18 * 18 + 18)])


def test_host_memory_is_for_all_pieces_of_a_small_model_and_for_those_under_way_of_a_large_one() -> None:
    large = [tensor(PIECE_BYTES // 18 * 18)] * 10_000

    assert 0 == host_bytes([])
    assert 2 * 256 == host_bytes([tensor(18), tensor(180)])
    assert NUM_SLOTS * PIECE_BYTES == host_bytes(large) <= 96 * 2**20
