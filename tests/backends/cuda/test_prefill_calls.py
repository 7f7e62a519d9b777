"""Which kernels a chunk asks for, and how its products are cut into tiles."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.cuda.decode_calls import KvPool
from backends.cuda.kv_pages import layer_offsets
from backends.cuda.panels import padded, panels, panels_bytes
from backends.cuda.prefill_attention import ChunkPointers
from backends.cuda.prefill_buffers import PrefillBuffers, prefill_sizes, sorted_rows
from backends.cuda.prefill_calls import PrefillCalls, chunk_sizes, prefill_sources
from backends.cuda.prefill_tile import Tile, choose_tile
from backends.cuda.weights import DeviceWeights
from domain.architectures import describe
from ports.model_description import Experts, ModelDescription
from tests.backends.cuda.every_kernel import EVERY_PREFILL_KERNEL, TILES
from tests.models.tiny import TinyShape, tiny_model

pytestmark = pytest.mark.req("M0-W-1430", "M0-W-1431")

MULTIPROCESSORS = 132
SHARED_BYTES = 227 * 1024
ARCHITECTURES = ["llama", "qwen2", "qwen3", "phi3", "gpt2", "gpt-oss"]


def calls_of(description: ModelDescription, *, num_multiprocessors: int = MULTIPROCESSORS) -> PrefillCalls:
    ropes = {layer.attention.rope for layer in description.layers} - {None}
    names = prefill_sizes(description, 1)
    return PrefillCalls(
        description,
        weights=DeviceWeights(description.tensors, 0),
        buffers=PrefillBuffers(
            num_tokens=1, d_frequencies={rope: 0 for rope in ropes if rope}, **dict.fromkeys(names, 0)
        ),
        pool=KvPool(0, 0, layer_offsets(description)),
        num_multiprocessors=num_multiprocessors,
        max_shared_bytes=SHARED_BYTES,
    )


@pytest.mark.parametrize("most_tokens", [1, 16, 100, 200, 512])
@pytest.mark.parametrize("num_multiprocessors", [1, 4, MULTIPROCESSORS])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_kernels_of_every_chunk_are_named_ahead(
    architecture: str, num_multiprocessors: int, most_tokens: int
) -> None:
    num_kv_heads = 4 if architecture == "gpt2" else 2
    description = describe(tiny_model(TinyShape(architecture, num_kv_heads=num_kv_heads)))
    calls = calls_of(description, num_multiprocessors=num_multiprocessors)
    ahead = prefill_sources(calls, most_tokens)

    nowhere = ChunkPointers(0, 0, 0, 0)
    asked = {call.source for size in chunk_sizes(most_tokens) for call in calls.chunk(nowhere, size)}
    assert asked == ahead
    assert {source for source in ahead if source.file.startswith("prefill")} <= set(EVERY_PREFILL_KERNEL)


@pytest.mark.parametrize("most_tokens", [1, 15, 16, 17, 100, 512, 600])
def test_some_launches_serve_every_chunk_up_to_the_largest(most_tokens: int) -> None:
    sizes = chunk_sizes(most_tokens)

    assert sorted(set(sizes)) == list(sizes)
    assert most_tokens == sizes[-1]
    for num_tokens in range(1, most_tokens + 1):
        served_by = next(size for size in sizes if size >= num_tokens)

        assert served_by <= max(16, 2 * num_tokens)  # so that at most half of what is launched is idle


def chosen(
    num_tokens: int,
    row_counts: Sequence[int],
    *,
    num_multiprocessors: int = MULTIPROCESSORS,
    max_shared_bytes: int = SHARED_BYTES,
) -> Tile:
    return choose_tile(
        num_tokens=num_tokens,
        row_counts=tuple(row_counts),
        num_multiprocessors=num_multiprocessors,
        max_shared_bytes=max_shared_bytes,
    )


@pytest.mark.parametrize(
    ("num_tokens", "num_rows", "tile"),
    [
        (512, 28_672, "Many<128, 8>"),
        (512, 4096, "Many<128, 8>"),
        (512, 1600, "Many<64, 8>"),  # 52 large tiles would leave most multiprocessors idle
        (512, 896, "Many<64, 4>"),
        (512, 500, "Few<2, 3>"),
        (512, 64, "Few<1, 3>"),
        (65, 28_672, "Many<128, 8>"),
        (64, 28_672, "Many<64, 8>"),
        (33, 28_672, "Many<64, 8>"),
        (32, 28_672, "Few<2, 3>"),  # half of a larger tile would be nobody's
        (16, 28_672, "Few<2, 3>"),
        (16, 2112, "Few<1, 3>"),  # a block of 16 rows for each multiprocessor
        (1, 1, "Few<1, 3>"),
    ],
)
def test_a_tile_is_as_large_as_fills_the_device(num_tokens: int, num_rows: int, tile: str) -> None:
    assert tile == chosen(num_tokens, [num_rows]).source


@pytest.mark.parametrize(
    ("row_counts", "row_tiles"),
    [
        ([28_672], 14),  # 128 blocks, one each
        ([16_384], 8),
        ([4096], 2),
        ([4096, 1024, 1024], 3),
        ([2112], 1),
        ([2880] * 32, 6),  # two side by side
        ([128_256], 6),
    ],
)
def test_rows_of_few_tokens_are_spread_evenly(row_counts: Sequence[int], row_tiles: int) -> None:
    assert row_tiles == chosen(16, row_counts).row_tiles


@given(
    row_counts=st.lists(st.integers(1, 200_000), min_size=1, max_size=3),
    num_multiprocessors=st.integers(1, 200),
    max_shared_bytes=st.sampled_from([99 * 1024, 163 * 1024, 227 * 1024]),
)
def test_a_block_of_few_tokens_fits_and_all_rows_are_somebodys(
    row_counts: Sequence[int], num_multiprocessors: int, max_shared_bytes: int
) -> None:
    tile = chosen(16, row_counts, num_multiprocessors=num_multiprocessors, max_shared_bytes=max_shared_bytes)

    assert tile.shared_bytes < max_shared_bytes
    assert not tile.is_paired or 2 * tile.shared_bytes < max_shared_bytes
    assert tile.num_blocks(row_counts) * tile.rows >= sum(row_counts)


@pytest.mark.parametrize(
    ("num_rows", "num_columns", "room"),
    [(1, 1, (128, 128)), (128, 128, (128, 128)), (129, 2880, (256, 2944))],
)
def test_panels_have_room_for_whole_tiles(num_rows: int, num_columns: int, room: tuple[int, int]) -> None:
    made = panels(0, num_rows=num_rows, num_columns=num_columns)

    assert room == (made.rows, padded(num_columns))
    assert 2 * room[0] * room[1] == panels_bytes(num_rows=num_rows, num_columns=num_columns)
    assert made.rows % max(tile.tokens for tile in TILES) == 0


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_buffers_grow_with_the_chunk(architecture: str) -> None:
    num_kv_heads = 4 if architecture == "gpt2" else 2
    description = describe(tiny_model(TinyShape(architecture, num_kv_heads=num_kv_heads)))
    small, large = prefill_sizes(description, 128), prefill_sizes(description, 256)

    per_expert = {"d_counts", "d_starts"}
    some_per_expert = {"d_pairs", "d_sorted", "d_inside"}
    for name, size_bytes in small.items():
        if name in per_expert:
            assert size_bytes == large[name]
        elif architecture == "gpt-oss" and name in some_per_expert:
            assert size_bytes < large[name] < 2 * size_bytes
        else:
            assert 2 * size_bytes == large[name], name
    assert 128 * 4 * description.hidden_size == small["d_x"]


@pytest.mark.parametrize("counts", [[0, 0, 0, 400], [100, 100, 100, 100], [1, 9, 389, 1], [129, 129, 141, 1]])
def test_sorted_rows_have_room_for_whole_tiles_of_every_expert(counts: list[int]) -> None:
    """Of 100 tokens that chose four experts each, or whomever: each expert's begin at a multiple of 8."""
    experts = describe(tiny_model(TinyShape("gpt-oss"))).layers[0].feed_forward
    assert isinstance(experts, Experts)
    experts = replace(experts, num_experts=4, num_active=4)
    largest = max(tile.tokens for tile in TILES)
    start, end = 0, 0
    for count in counts:
        end = max(end, start + -(-count // largest) * largest)
        start += -(-count // 8) * 8

    assert end <= sorted_rows(experts, 100)
