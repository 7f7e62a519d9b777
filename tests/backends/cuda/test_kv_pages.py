"""The KV pool's pages: who has which, and what lies where in one."""

from itertools import pairwise

import pytest

from backends.cuda.kv_pages import PagePool, key_bytes, layer_offsets
from domain.errors import VramExhausted
from domain.memory_plan import plan_memory
from tests.backends.cuda.reference_models import reference_models, toy_models

PAGE_BYTES = 4096
MODELS = reference_models() | toy_models()


@pytest.mark.req("M0-W-1021")
def test_every_page_has_one_owner_at_most() -> None:
    pool = PagePool(5, page_bytes=PAGE_BYTES)
    first, second = pool.take(2), pool.take(3)

    assert set(range(5)) == {*first, *second}
    assert 0 == pool.num_free


@pytest.mark.req("M0-W-1021")
def test_what_is_given_back_is_handed_out_again() -> None:
    pool = PagePool(5, page_bytes=PAGE_BYTES)
    first, second = pool.take(2), pool.take(2)
    pool.give_back(first)
    third = pool.take(3)

    assert 0 == pool.num_free
    assert set(range(5)) == {*second, *third}


@pytest.mark.req("M0-W-1021")
def test_too_many_pages_at_once_take_none() -> None:
    pool = PagePool(5, page_bytes=PAGE_BYTES)
    pool.take(2)
    with pytest.raises(VramExhausted) as refused:
        pool.take(4)

    assert 3 == pool.num_free
    assert str(4 * PAGE_BYTES) in refused.value.message
    assert str(3 * PAGE_BYTES) in refused.value.message


@pytest.mark.req("M0-W-1430")
@pytest.mark.parametrize("name", MODELS)
def test_the_layers_of_a_page_lie_side_by_side_within_what_was_planned(name: str) -> None:
    description = MODELS[name]
    plan = plan_memory(description, free_bytes=2**40, gpu_device=0, path=name)
    starts = layer_offsets(description)
    ends = [
        start + 2 * key_bytes(layer.attention)
        for start, layer in zip(starts, description.layers, strict=True)
    ]

    assert 0 == starts[0]
    assert all(end == start for end, (_, start) in zip(ends[:-1], pairwise(starts), strict=True))
    assert ends[-1] <= plan.kv_page_bytes < ends[-1] + 256
    assert {0} == {start % 16 for start in starts}  # kernels read 16 bytes at once
