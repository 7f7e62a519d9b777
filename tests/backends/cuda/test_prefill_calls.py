"""Which kernels a chunk asks for, and how its products are cut into tiles."""

import pytest

from backends.cuda.decode_calls import KvPool
from backends.cuda.kv_pages import layer_offsets
from backends.cuda.prefill_attention import ChunkPointers
from backends.cuda.prefill_buffers import PrefillBuffers, prefill_sizes
from backends.cuda.prefill_calls import PrefillCalls, prefill_sources
from backends.cuda.prefill_matmul import Tile, choose_tile
from backends.cuda.weights import DeviceWeights
from domain.architectures import describe
from ports.model_description import ModelDescription
from tests.backends.cuda.every_kernel import EVERY_PREFILL_KERNEL
from tests.models.tiny import TinyShape, tiny_model

pytestmark = pytest.mark.req("M0-W-1430", "M0-W-1431")

MULTIPROCESSORS = 132
ARCHITECTURES = ["llama", "qwen2", "qwen3", "phi3", "gpt2", "gpt-oss"]


def calls_of(description: ModelDescription, *, num_multiprocessors: int = MULTIPROCESSORS) -> PrefillCalls:
    ropes = {layer.attention.rope for layer in description.layers} - {None}
    names = prefill_sizes(description, 1)
    return PrefillCalls(
        description,
        weights=DeviceWeights(description.tensors, 0),
        buffers=PrefillBuffers(d_frequencies={rope: 0 for rope in ropes if rope}, **dict.fromkeys(names, 0)),
        pool=KvPool(0, 0, layer_offsets(description)),
        num_multiprocessors=num_multiprocessors,
    )


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_kernels_of_every_chunk_are_named_ahead(architecture: str) -> None:
    num_kv_heads = 4 if architecture == "gpt2" else 2
    description = describe(tiny_model(TinyShape(architecture, num_kv_heads=num_kv_heads)))
    ahead = prefill_sources(description, calls_of(description))

    for num_multiprocessors in (1, 4, MULTIPROCESSORS):
        calls = calls_of(description, num_multiprocessors=num_multiprocessors)
        asked = {
            call.source for count in range(1, 200) for call in calls.chunk(ChunkPointers(0, 0, 0), count)
        }
        assert asked <= ahead
    assert {source for source in ahead if source.file.startswith("prefill")} <= set(EVERY_PREFILL_KERNEL)


@pytest.mark.parametrize(
    ("num_tokens", "num_rows", "tile"),
    [
        (512, 28_672, Tile(128, 128)),
        (512, 4096, Tile(128, 128)),
        (512, 896, Tile(64, 64)),  # 28 large tiles would leave most multiprocessors idle
        (512, 128, Tile(16, 64)),
        (65, 28_672, Tile(128, 128)),
        (64, 28_672, Tile(64, 64)),
        (33, 28_672, Tile(64, 64)),
        (32, 28_672, Tile(16, 64)),  # half of a larger tile would be nobody's
        (1, 1, Tile(16, 64)),
    ],
)
def test_a_tile_is_as_large_as_fills_the_device(num_tokens: int, num_rows: int, tile: Tile) -> None:
    assert tile == choose_tile(num_tokens=num_tokens, num_rows=num_rows, num_multiprocessors=MULTIPROCESSORS)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_buffers_grow_with_the_chunk(architecture: str) -> None:
    num_kv_heads = 4 if architecture == "gpt2" else 2
    description = describe(tiny_model(TinyShape(architecture, num_kv_heads=num_kv_heads)))
    small, large = prefill_sizes(description, 10), prefill_sizes(description, 20)

    per_expert = {"d_counts"}
    assert {name: 2 * size for name, size in small.items() if name not in per_expert} == {
        name: size for name, size in large.items() if name not in per_expert
    }
    assert 10 * 4 * description.hidden_size == small["d_x"]
