"""The ring of weights on their way and the input before it: how much shared memory a decode kernel takes."""

from collections.abc import Sequence
from dataclasses import dataclass

from backends.cuda.geometry import RowGeometry
from backends.cuda.packed import DENSE_TYPES
from backends.cuda.weight_ring import num_stages, stage_bytes
from ports.tensor_types import TensorType


@dataclass(frozen=True, slots=True)
class Ring:
    """Of the weights on their way, as weight_ring.cuh has it."""

    num_stages: int
    shared_bytes: int  # of a block, its input included


def ring_of(
    types: Sequence[TensorType],
    num_rows: int,
    num_columns: int,
    turns_a_group: int,
    geometry: RowGeometry,
    *,
    num_inputs: int = 1,
) -> Ring:
    """Of groups of rows, of one or several matrices, each of which takes a warp so many turns."""
    # A turn is of one of the matrices.
    slot_bytes = max(stage_bytes(type_, num_columns, geometry.rows) for type_ in types)
    input_bytes = num_inputs * input_bytes_of(num_columns, types)
    num_groups = -(-num_rows // geometry.rows) * geometry.parts
    stages = num_stages(
        slot_bytes,
        num_warps=geometry.num_warps,
        num_turns=-(-num_groups // (geometry.num_blocks * geometry.num_warps)) * turns_a_group,
        input_bytes=input_bytes,
        num_blocks=geometry.blocks_a_multiprocessor,
    )
    return Ring(stages, input_bytes + geometry.num_warps * stages * slot_bytes)


def input_bytes_of(num_columns: int, types: Sequence[TensorType]) -> int:
    """As `shared_input_bytes` in decode_input.cuh, rounded up to 16."""
    int8_bytes = num_columns // 32 * 40 if any(type_ not in DENSE_TYPES for type_ in types) else 0
    float_bytes = -(-num_columns // 4) * 16 if any(type_ in DENSE_TYPES for type_ in types) else 0
    return -(-(int8_bytes + float_bytes) // 16) * 16
