"""The plan of device memory."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.architectures import describe
from domain.errors import InsufficientVram
from domain.memory_plan import (
    HEADROOM_BYTES,
    PAGE_TOKENS,
    PREFILL_CHUNK_TOKENS,
    pages_for,
    plan_memory,
)
from ports.memory import MemoryPlan
from ports.model_description import ModelDescription
from tests.models.tiny import TinyShape, tiny_model

GIB = 2**30
TINY = describe(tiny_model(TinyShape()))
PAGE_BYTES = 2 * 2 * 2 * 2 * 16 * 16  # keys and values, FP16, 2 layers, 2 KV heads of 16, 16 positions


def plan(
    free_bytes: int,
    *,
    kv_cache_bytes: int | None = None,
    max_sequences: int = 1,
    model: ModelDescription = TINY,
) -> MemoryPlan:
    return plan_memory(
        model,
        free_bytes=free_bytes,
        gpu_device=3,
        path="/m.gguf",
        kv_cache_bytes=kv_cache_bytes,
        max_sequences=max_sequences,
    )


def least_bytes(*, max_sequences: int = 1) -> int:
    """The free memory below which the tiny model is refused."""
    smallest = plan(GIB, kv_cache_bytes=0, max_sequences=max_sequences)
    return smallest.weights_bytes + smallest.scratch_bytes + smallest.kv_page_bytes + HEADROOM_BYTES


@pytest.mark.req("M0-W-1220")
def test_every_tensor_is_counted_in_whole_units_of_256_bytes() -> None:
    tensors = tuple(dataclasses.replace(TINY.output_norm.weight, size_bytes=size) for size in (1, 256, 257))

    assert 256 + 256 + 512 == plan(GIB, model=dataclasses.replace(TINY, tensors=tensors)).weights_bytes


@pytest.mark.req("M0-W-1435")
def test_a_page_holds_sixteen_positions_in_fp16() -> None:
    assert (16, PAGE_BYTES) == (plan(GIB).page_tokens, plan(GIB).kv_page_bytes)


@pytest.mark.parametrize(("max_sequences", "expected"), [(1, 8), (3, 24)])
def test_an_open_pool_takes_a_full_context_for_each_sequence(max_sequences: int, expected: int) -> None:
    assert expected == plan(GIB, max_sequences=max_sequences).num_kv_pages


def test_an_open_pool_takes_no_more_than_remains() -> None:
    assert 3 == plan(least_bytes() + 3 * PAGE_BYTES - 1).num_kv_pages


@pytest.mark.parametrize(
    ("kv_cache_bytes", "expected"),
    [(0, 1), (1, 1), (PAGE_BYTES, 1), (2 * PAGE_BYTES - 1, 1), (2 * PAGE_BYTES, 2), (100 * PAGE_BYTES, 100)],
)
def test_a_given_pool_is_whole_pages_and_at_least_one(kv_cache_bytes: int, expected: int) -> None:
    assert expected == plan(GIB, kv_cache_bytes=kv_cache_bytes).num_kv_pages


@pytest.mark.req("M0-W-1020", "M0-W-1210")
def test_the_last_byte_decides() -> None:
    required_bytes = least_bytes()

    assert 1 == plan(required_bytes).num_kv_pages
    with pytest.raises(InsufficientVram):
        plan(required_bytes - 1)


@pytest.mark.req("M0-W-1020")
def test_what_does_not_fit_is_refused_with_the_four_facts() -> None:
    free_bytes = least_bytes() - 1
    with pytest.raises(InsufficientVram) as failure:
        plan(free_bytes)

    expected = {
        "vram_required_bytes": free_bytes + 1 - HEADROOM_BYTES,
        "vram_available_bytes": free_bytes - HEADROOM_BYTES,
        "gpu_device": 3,
        "model_path": "/m.gguf",
    }
    assert expected == failure.value.facts


def test_a_device_with_less_than_the_headroom_has_nothing_to_give() -> None:
    with pytest.raises(InsufficientVram) as failure:
        plan(1000)

    assert 0 == failure.value.facts["vram_available_bytes"]
    assert f"0 to give, since of 1000 that are free {HEADROOM_BYTES} are kept back" in failure.value.message


def test_a_pool_asked_for_is_not_quietly_made_smaller() -> None:
    with pytest.raises(InsufficientVram):
        plan(GIB, kv_cache_bytes=GIB)


def test_every_sequence_needs_a_page_of_its_own() -> None:
    free_bytes = least_bytes(max_sequences=4)

    with pytest.raises(InsufficientVram):
        plan(free_bytes, max_sequences=4)
    assert 4 == plan(free_bytes + 3 * PAGE_BYTES, max_sequences=4).num_kv_pages


def test_a_prompt_chunk_is_no_longer_than_the_context() -> None:
    def chunk_tokens(context_length: int) -> int:
        return plan(GIB, model=dataclasses.replace(TINY, context_length=context_length)).prefill_chunk_tokens

    assert [100, PREFILL_CHUNK_TOKENS] == [chunk_tokens(100), chunk_tokens(100_000)]


@given(
    free_bytes=st.integers(0, 2**40),
    kv_cache_bytes=st.none() | st.integers(0, 2**36),
    context_length=st.integers(1, 2**24),
    max_sequences=st.integers(1, 64),
)
def test_no_plan_takes_more_than_there_is(
    free_bytes: int, kv_cache_bytes: int | None, context_length: int, max_sequences: int
) -> None:
    model = dataclasses.replace(TINY, context_length=context_length)
    try:
        made = plan(free_bytes, kv_cache_bytes=kv_cache_bytes, max_sequences=max_sequences, model=model)
    except InsufficientVram:
        return

    assert made.total_bytes + HEADROOM_BYTES <= free_bytes
    assert 1 <= made.num_kv_pages
    assert all(size % 256 == 0 for size in (made.weights_bytes, made.kv_page_bytes, made.scratch_bytes))
    assert kv_cache_bytes is not None or made.num_kv_pages <= max_sequences * pages_for(context_length)


@pytest.mark.parametrize(("num_tokens", "expected"), [(1, 1), (16, 1), (17, 2), (PAGE_TOKENS * 5, 5)])
def test_a_started_page_counts_whole(num_tokens: int, expected: int) -> None:
    assert expected == pages_for(num_tokens)
