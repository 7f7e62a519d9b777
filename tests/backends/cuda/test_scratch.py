"""What the kernels write and read besides weights and cache, against the plan made before there is any."""

from dataclasses import replace

import pytest

from backends.cuda.arena import Arena
from backends.cuda.scratch import lay_out, scratch_bytes, slot_sizes
from domain.errors import VramExhausted
from domain.memory_plan import plan_memory
from ports.memory import MemoryPlan
from ports.model_description import Experts, ModelDescription
from tests.backends.cuda.compiled import DEVICES
from tests.backends.cuda.reference_models import reference_models, toy_models

pytestmark = pytest.mark.req("M0-W-1430")

MODELS = reference_models() | toy_models()
MULTIPROCESSORS = [1, 16, *DEVICES.values(), 264]


def plan_of(description: ModelDescription, *, prefill_chunk_tokens: int = 512) -> MemoryPlan:
    return plan_memory(
        description, free_bytes=2**42, gpu_device=0, path="", prefill_chunk_tokens=prefill_chunk_tokens
    )


@pytest.mark.parametrize("name", MODELS)
def test_the_plan_has_room_for_it_on_every_device(name: str) -> None:
    for context_length in (1, 16, 100, MODELS[name].context_length):
        description = replace(MODELS[name], context_length=context_length)
        for prefill_chunk_tokens in (1, 128, 512):
            plan = plan_of(description, prefill_chunk_tokens=prefill_chunk_tokens)
            needed = {
                count: scratch_bytes(description, plan, num_multiprocessors=count)
                for count in MULTIPROCESSORS
            }

            assert plan.scratch_bytes >= max(needed.values()), (context_length, needed)


@pytest.mark.parametrize(
    ("num_experts", "num_active", "intermediate_size", "hidden_size"),
    [
        (128, 8, 768, 2048),
        (128, 4, 2880, 2880),
        (256, 1, 64, 4096),
        (64, 6, 1408, 2048),
        (8, 2, 14_336, 4096),
    ],
)
def test_the_plan_has_room_for_experts_of_any_shape(
    num_experts: int, num_active: int, intermediate_size: int, hidden_size: int
) -> None:
    gpt_oss = MODELS["gpt-oss-20b-mxfp4"]
    (layer, *_) = gpt_oss.layers
    assert isinstance(layer.feed_forward, Experts)
    experts = replace(
        layer.feed_forward,
        num_experts=num_experts,
        num_active=num_active,
        intermediate_size=intermediate_size,
    )
    description = replace(gpt_oss, hidden_size=hidden_size, layers=(replace(layer, feed_forward=experts),))
    for context_length in (1, 128, 4096):
        described = replace(description, context_length=context_length)
        plan = plan_of(described)
        for count in MULTIPROCESSORS:
            assert plan.scratch_bytes >= scratch_bytes(described, plan, num_multiprocessors=count)


@pytest.mark.parametrize("name", MODELS)
def test_it_takes_as_much_as_it_says(name: str) -> None:
    plan = plan_of(MODELS[name])
    needed = scratch_bytes(MODELS[name], plan, num_multiprocessors=132)
    lay_out(MODELS[name], plan, Arena(2**33, needed), num_multiprocessors=132)

    with pytest.raises(VramExhausted):
        lay_out(MODELS[name], plan, Arena(2**33, needed - 1), num_multiprocessors=132)


@pytest.mark.parametrize("name", MODELS)
def test_a_slot_lists_the_pages_of_the_longest_sequence(name: str) -> None:
    plan = plan_of(MODELS[name])
    num_pages = slot_sizes(MODELS[name], plan).num_pages

    assert (num_pages - 1) * plan.page_tokens < plan.max_model_len <= num_pages * plan.page_tokens
