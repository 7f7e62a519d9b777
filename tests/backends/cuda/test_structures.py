"""What is handed to kernels by value lies in memory as they read it."""

import ctypes
from importlib.resources import files
from pathlib import Path

import pytest

from backends.cuda.compiler import Compiler, KernelSource
from backends.cuda.decode_args import (
    AttentionArgs,
    ExpertMatrix,
    Input,
    Rotation,
    Rotations,
    Rows,
    Stack,
    Vector,
)
from backends.cuda.packed import PackedMatrix
from backends.cuda.prefill_args import (
    ExpertListsArgs,
    KvPages,
    LinearArgs,
    LinearStackArgs,
    PanelsArgs,
    RopeArgs,
)
from backends.cuda.sampler import SampleArgs, SampleScratch, SequenceState

STRUCTURES: list[tuple[type[ctypes.Structure], str, str]] = [
    (PackedMatrix, "Matrix", "packed_layout.cuh"),
    (Vector, "Vector", "vector.cuh"),
    (Input, "Input", "decode_input.cuh"),
    (Rows, "Rows", "matvec.cuh"),
    (Stack, "Stack", "decode_rows.cu"),
    (ExpertMatrix, "ExpertMatrix", "decode_experts.cu"),
    (Rotation, "Rotation", "decode_begin.cu"),
    (Rotations, "Rotations", "decode_begin.cu"),
    (AttentionArgs, "AttentionArgs", "decode_attention.cu"),
    (LinearArgs, "Linear", "tile_operands.cuh"),
    (LinearStackArgs, "LinearStack", "prefill_matmul.cu"),
    (PanelsArgs, "Panels", "panels.cuh"),
    (ExpertListsArgs, "ExpertLists", "expert_lists.cuh"),
    (KvPages, "KvPages", "kv_pages.cuh"),
    (RopeArgs, "Rope", "prefill_rope.cu"),
    (SequenceState, "SequenceState", "sequence_state.cuh"),
    (SampleScratch, "SampleScratch", "sample.cu"),
    (SampleArgs, "SampleArgs", "sample.cu"),
]


@pytest.mark.req("M0-W-1421", "M0-W-1430")
@pytest.mark.parametrize(("structure", "name", "file"), STRUCTURES, ids=[name for _, name, _ in STRUCTURES])
def test_structures_lie_in_memory_as_the_kernels_read_them(
    structure: type[ctypes.Structure], name: str, file: str, tmp_path: Path
) -> None:
    """The compiler itself compares: what it disagrees with does not compile."""
    checks = [f"static_assert(sizeof({name}) == {ctypes.sizeof(structure)});"]
    for field, *_ in structure._fields_:
        described = getattr(structure, field)
        member = f"{name}, {field.removeprefix('d_')}"
        checks.append(f"static_assert(__builtin_offsetof({member}) == {described.offset});")
        checks.append(f"static_assert(sizeof((({name}*)0)->{field.removeprefix('d_')}) == {described.size});")
    text = (files("backends.cuda.kernels") / file).read_text()
    (tmp_path / "layout.cu").write_text("\n".join([text, *checks, "__global__ void layout() {}"]))
    layout = KernelSource("layout.cu", "layout")

    assert {layout} == set(Compiler("sm_90", None, [tmp_path]).compile([layout]))
