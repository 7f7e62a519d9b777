"""The scratch space: what a model's kernels write and read besides weights and cache."""

from collections.abc import Mapping
from ctypes import sizeof
from dataclasses import dataclass

from backends.cuda.arena import Arena
from backends.cuda.decode_buffers import DecodeBuffers, decode_sizes, ropes_of
from backends.cuda.model_program import ProgramBuffers
from backends.cuda.prefill_buffers import PrefillBuffers, prefill_sizes
from backends.cuda.sampler import SampleScratch
from backends.cuda.sequence_slot import SlotSizes
from domain.memory_plan import align, pages_for
from ports.memory import MemoryPlan
from ports.model_description import ModelDescription

_ID_BYTES = 4
_ROTATION_BYTES = 8  # of a pair: cosine and sine
_FREQUENCY_BYTES = 8  # of a pair


@dataclass(frozen=True, slots=True)
class Scratch:
    """Addresses of all of it."""

    decode: DecodeBuffers
    prefill: PrefillBuffers
    program: ProgramBuffers
    first_slot: Arena


def scratch_bytes(description: ModelDescription, plan: MemoryPlan, *, num_multiprocessors: int) -> int:
    """How much `lay_out` takes."""
    groups = _sizes(description, plan, num_multiprocessors)
    pairs = [rope.rotary_dim // 2 for rope in ropes_of(description)]
    rotations = sum(align(n * _ROTATION_BYTES) + align(n * _FREQUENCY_BYTES) for n in pairs)
    sizes = [size_bytes for group in groups for size_bytes in group.values()]
    return sum(map(align, sizes)) + rotations + align(slot_sizes(description, plan).size_bytes)


def lay_out(
    description: ModelDescription, plan: MemoryPlan, arena: Arena, *, num_multiprocessors: int
) -> Scratch:
    """Divide `arena`.

    Raises:
        VramExhausted: it is too small.
    """
    decode, prefill, program = (
        {name: arena.take(size_bytes) for name, size_bytes in group.items()}
        for group in _sizes(description, plan, num_multiprocessors)
    )
    ropes = ropes_of(description)
    d_frequencies = {rope: arena.take(rope.rotary_dim // 2 * _FREQUENCY_BYTES) for rope in ropes}
    d_rotations = {rope: arena.take(rope.rotary_dim // 2 * _ROTATION_BYTES) for rope in ropes}
    slot_bytes = slot_sizes(description, plan).size_bytes
    return Scratch(
        DecodeBuffers(**decode, d_rotations=d_rotations, d_frequencies=d_frequencies),
        PrefillBuffers(num_tokens=plan.prefill_chunk_tokens, **prefill, d_frequencies=d_frequencies),
        ProgramBuffers(**program, d_chunk_x=prefill["d_x"], d_logits=decode["d_logits"]),
        Arena(arena.take(slot_bytes), slot_bytes),
    )


def slot_sizes(description: ModelDescription, plan: MemoryPlan) -> SlotSizes:
    """Of a slot for a sequence of any length."""
    return SlotSizes(pages_for(plan.max_model_len, page_tokens=plan.page_tokens), description.vocab_size)


def _sizes(
    description: ModelDescription, plan: MemoryPlan, num_multiprocessors: int
) -> tuple[Mapping[str, int], ...]:
    """Bytes of every buffer by its name: of a token, of a chunk, of the program."""
    chunk_tokens = plan.prefill_chunk_tokens
    ids_bytes = chunk_tokens * _ID_BYTES
    program = {
        "d_chunk": _ID_BYTES + 2 * ids_bytes,
        "d_target_ids": ids_bytes,
        "d_log_probs": ids_bytes,
        "d_sample_scratch": sizeof(SampleScratch),
    }
    return (
        decode_sizes(description, num_multiprocessors=num_multiprocessors),
        prefill_sizes(description, chunk_tokens),
        program,
    )
