"""The ring of weights on their way and the input before it: how much shared memory a decode kernel takes."""

from dataclasses import dataclass

from backends.cuda.geometry import RowGeometry
from backends.cuda.packed import DENSE_TYPES
from backends.cuda.weight_ring import num_stages, num_turns, stage_bytes
from ports.tensor_types import TensorType


@dataclass(frozen=True, slots=True)
class Ring:
    """Of the weights on their way, as weight_ring.cuh has it."""

    num_stages: int
    shared_bytes: int  # of a block, its input included


def ring_of_pair(
    types: list[TensorType], num_rows: int, num_columns: int, geometry: RowGeometry, *, num_warps: int
) -> Ring:
    """Of the same rows of one or two matrices."""
    return ring_of(
        slot_bytes_of(types, num_columns, geometry),
        num_rows,
        sum(num_turns(type_, num_columns) for type_ in types),
        geometry,
        num_warps=num_warps,
        input_bytes=input_bytes_of(num_columns, types),
    )


def ring_of(
    slot_bytes: int,
    num_rows: int,
    turns_a_group: int,
    geometry: RowGeometry,
    *,
    num_warps: int,
    input_bytes: int,
) -> Ring:
    """Of groups of rows, each of which takes a warp so many turns; `input_bytes` lie before it."""
    num_groups = -(-num_rows // geometry.rows) * geometry.parts
    stages = num_stages(
        slot_bytes,
        num_warps=num_warps,
        num_turns=-(-num_groups // (geometry.num_blocks * num_warps)) * turns_a_group,
        input_bytes=input_bytes,
        num_blocks=geometry.blocks_a_multiprocessor,
    )
    return Ring(stages, input_bytes + num_warps * stages * slot_bytes)


def slot_bytes_of(types: list[TensorType], num_columns: int, geometry: RowGeometry) -> int:
    """A turn is of one of the matrices."""
    return max(stage_bytes(type_, num_columns, geometry.rows) for type_ in types)


def input_bytes_of(num_columns: int, types: list[TensorType]) -> int:
    """As `shared_input_bytes` in decode_input.cuh, rounded up to 16."""
    int8_bytes = num_columns // 32 * 40 if any(type_ not in DENSE_TYPES for type_ in types) else 0
    float_bytes = -(-num_columns // 4) * 16 if any(type_ in DENSE_TYPES for type_ in types) else 0
    return -(-(int8_bytes + float_bytes) // 16) * 16
