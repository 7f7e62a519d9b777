"""How much shared memory a decode kernel's streams of weights take; kernels/row_stage.cuh lays it out."""

from collections.abc import Sequence
from itertools import accumulate
from math import gcd

from backends.cuda.packed import DENSE_TYPES
from ports.tensor_types import TensorType

# Of what runs on a multiprocessor at once. The next kernel's blocks start beside it where there is room for
# as much again, and the smallest multiprocessors have 100 KB.
_SHARED_BYTES = 96 * 1024
_MOST_STAGES = 8
_ENOUGH_STAGES = 3  # with two, half of the room waits for the arithmetic
_LANES = 32
_CHUNK_BYTES = 16
_BLOCK_BYTES = {TensorType.F32: 32, TensorType.Q8_0: 32}  # of a lane's piece; others have 16

# The other planes in the order in which they are stored: bytes of every 256 elements.
_SMALL_PLANES = {
    TensorType.Q4_0: (16,),
    TensorType.Q4_1: (32,),
    TensorType.Q5_0: (32, 16),
    TensorType.Q5_1: (32, 32),
    TensorType.Q8_0: (16,),
    TensorType.Q4_K: (16,),
    TensorType.Q5_K: (16, 32),
    TensorType.Q6_K: (64, 16, 2),
    TensorType.MXFP4: (8,),
}


def stage_bytes(weight_type: TensorType, num_columns: int, rows: int) -> int:
    """`RowStage::BYTES`: one turn of a warp over `rows` rows."""
    sizes = _SMALL_PLANES.get(weight_type, ())
    units = accumulate((size * num_columns // 256 for size in sizes), gcd, initial=_CHUNK_BYTES)
    chunks = sum(_num_chunks(4 * size, unit) for size, unit in zip(sizes, list(units)[1:], strict=True))
    return rows * (_LANES * _BLOCK_BYTES.get(weight_type, 16) + _CHUNK_BYTES * chunks)


def columns_a_turn(weight_type: TensorType) -> int:
    """Of one warp."""
    return (8 if weight_type in DENSE_TYPES else 32) * _LANES


def num_turns(weight_type: TensorType, num_columns: int, parts: int = 1) -> int:
    """`RowStage::TURNS`: of `parts` warps that share a row."""
    return -(-num_columns // (columns_a_turn(weight_type) * parts))


def most_rows(types: Sequence[TensorType], num_columns: int, *, num_warps: int, input_bytes: int) -> int:
    """Of a warp, so that there is room for enough stages: 4, 2 or 1."""

    def has_room(rows: int) -> bool:
        slot_bytes = max(stage_bytes(type_, num_columns, rows) for type_ in types)
        return input_bytes + _ENOUGH_STAGES * num_warps * slot_bytes <= _SHARED_BYTES

    return next((rows for rows in (4, 2) if has_room(rows)), 1)


def num_stages(slot_bytes: int, *, num_warps: int, num_turns: int, input_bytes: int, num_blocks: int) -> int:
    """Slots of a warp: as many as there is room for, and no more than it can fill.

    Args:
        slot_bytes: of one.
        num_warps: of a block.
        num_turns: that a warp has at most, all in all.
        input_bytes: of shared memory, before the rings.
        num_blocks: on a multiprocessor.
    """
    stage_size = num_warps * slot_bytes
    shared = (_SHARED_BYTES // num_blocks - input_bytes) // stage_size
    alone = (_SHARED_BYTES - input_bytes) // stage_size
    return max(2, min(max(shared, min(alone, _ENOUGH_STAGES)), num_turns + 1, _MOST_STAGES))


def _num_chunks(turn_bytes: int, unit: int) -> int:
    """Chunks that a turn's bytes of a row may lie in, the row starting at a multiple of `unit`."""
    aligned = unit if turn_bytes % _CHUNK_BYTES == 0 else gcd(unit, turn_bytes)
    return -(-(turn_bytes + _CHUNK_BYTES - aligned) // _CHUNK_BYTES)
