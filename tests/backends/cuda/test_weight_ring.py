"""Streams of weights: Python reserves the shared memory that kernels lay out, and no more than there is."""

from importlib.resources import files
from itertools import product
from pathlib import Path

import pytest

from backends.cuda.compiler import Compiler, KernelSource
from backends.cuda.packed import DENSE_TYPES
from backends.cuda.weight_ring import most_rows, num_stages, num_turns, stage_bytes
from ports.tensor_types import TensorType

pytestmark = pytest.mark.req("M0-W-1430")

COLUMNS = [32, 36, 97, 160, 256, 896, 2304, 2880, 4096, 14_336]
SMALLEST_SHARED_BYTES = 99 * 1024


def shapes() -> list[tuple[TensorType, int]]:
    """Types, and columns that they can have."""
    return [
        (type_, columns)
        for type_, columns in product(TensorType, COLUMNS)
        if type_ in DENSE_TYPES or columns % type_.block.num_elements == 0
    ]


def test_a_turn_takes_as_much_as_the_kernels_say(tmp_path: Path) -> None:
    """The compiler itself compares: what it disagrees with does not compile."""
    checks = [
        f"static_assert(RowStage<{type_.name}, {columns}, {rows}, {parts}>::BYTES == "
        f"{stage_bytes(type_, columns, rows)});\n"
        f"static_assert(RowStage<{type_.name}, {columns}, {rows}, {parts}>::TURNS == "
        f"{num_turns(type_, columns, parts)});"
        for (type_, columns), (rows, parts) in product(shapes(), [(1, 1), (2, 4), (4, 2)])
    ]
    text = (files("backends.cuda.kernels") / "row_stage.cuh").read_text()
    (tmp_path / "stages.cu").write_text("\n".join([text, *checks, "__global__ void stages() {}"]))
    stages = KernelSource("stages.cu", "stages")

    assert {stages} == set(Compiler("sm_90", None, [tmp_path]).compile([stages]))


@pytest.mark.parametrize("num_warps", [8, 16])
def test_a_ring_overlaps_and_fits_the_smallest_multiprocessor(num_warps: int) -> None:
    for type_, columns in shapes():
        input_bytes = 40 * columns // 32
        rows = most_rows([type_], columns, num_warps=num_warps, input_bytes=input_bytes)
        slot_bytes = stage_bytes(type_, columns, rows)
        for turns, num_blocks in product([1, 2, 100], [1, 2]):
            stages = num_stages(
                slot_bytes,
                num_warps=num_warps,
                num_turns=turns,
                input_bytes=input_bytes,
                num_blocks=num_blocks,
            )

            assert 2 <= stages <= turns + 1
            assert input_bytes + num_warps * stages * slot_bytes <= SMALLEST_SHARED_BYTES
