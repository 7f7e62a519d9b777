"""How the work of a decode kernel is cut: nothing left out, no multiprocessor idle where there is work."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import pytest

from backends.cuda.geometry import (
    RowGeometry,
    attention_geometry,
    experts_down_geometry,
    experts_inside_geometry,
    inside_geometry,
    project_geometry,
    router_geometry,
    rows_geometry,
)
from tests.backends.cuda.compiled import DEVICES
from tests.backends.cuda.reference_models import reference_models, toy_models

pytestmark = pytest.mark.req("M0-W-1430")

MODELS = reference_models() | toy_models()
ROWS = [1, 7, 32, 128, 896, 1152, 4096, 4864, 14_336, 28_672, 151_936, 201_088]
COLUMNS = [32, 64, 896, 2048, 2880, 4096, 14_336]
TURNS = [1, 2, 3, 5, 12, 14, 56]  # that a warp alone takes for a row
H200 = 132
OUTPUT_8B, DOWN_8B, DOWN_1B, DOWN_PHI_3, DOWN_HALF_B = (4096, 4), (4096, 14), (2048, 8), (3072, 8), (896, 5)


def geometries() -> Iterator[tuple[int, int, RowGeometry]]:
    """Rows, multiprocessors, and how every kind of product is cut."""
    for rows, count in product(ROWS, DEVICES.values()):
        yield from (
            (
                rows,
                count,
                rows_geometry(rows, columns, num_multiprocessors=count, most_rows=most),
            )
            for columns, most in product(COLUMNS, (1, 2, 4))
        )
        for turns in TURNS:
            if rows <= count:
                yield rows, count, router_geometry(rows, num_turns=turns)
            yield rows, count, project_geometry(rows, num_turns=turns, num_multiprocessors=count)
            yield rows, count, inside_geometry(rows, num_turns=turns, num_multiprocessors=count)
        yield rows, count, experts_inside_geometry(rows, num_multiprocessors=count)
        for active in (1, 2, 4, 8):
            yield rows, count, experts_down_geometry(rows, active, num_multiprocessors=count)


def test_every_block_has_rows_and_no_more_of_them_share_a_multiprocessor_than_said() -> None:
    for rows, count, geometry in geometries():
        warps = -(-rows // geometry.rows) * geometry.parts

        assert 1 <= geometry.num_blocks
        assert (geometry.num_blocks - 1) * geometry.num_warps < warps
        assert geometry.num_blocks <= geometry.blocks_a_multiprocessor * count


def test_blocks_are_whole_shares_of_a_row_and_fit_a_multiprocessor() -> None:
    """1,536 threads are the smallest multiprocessor's; of 64 registers each they are all of its registers."""
    for _, _, geometry in geometries():
        assert geometry.num_warps % geometry.parts == 0
        assert geometry.rows in (1, 2, 4)
        assert 32 * geometry.num_warps * min(geometry.blocks_a_multiprocessor, 2) <= 1024


def test_warps_share_a_row_only_where_each_has_a_turn() -> None:
    for rows, turns, count in product(ROWS, TURNS, DEVICES.values()):
        assert project_geometry(rows, num_turns=turns, num_multiprocessors=count).parts <= turns
        assert router_geometry(rows, num_turns=turns).parts < 2 * turns


@pytest.mark.parametrize("shape", [OUTPUT_8B, DOWN_8B, DOWN_1B, DOWN_PHI_3])
def test_the_busiest_multiprocessor_has_a_tenth_more_than_its_share_at_most(shape: tuple[int, int]) -> None:
    rows, turns = shape
    geometry = project_geometry(rows, num_turns=turns, num_multiprocessors=H200)
    groups = [0] * geometry.num_blocks  # of each block: they are dealt out in turn
    for group in range(-(-rows // geometry.rows)):
        groups[group % geometry.num_blocks] += 1
    at_once = geometry.num_warps // geometry.parts
    rounds = [-(-count // at_once) for count in groups]
    busy = [sum(rounds[start::H200]) * at_once * geometry.rows for start in range(H200)]

    assert max(busy) * H200 <= 1.1 * rows


def test_a_short_row_is_under_way_as_a_whole_and_a_long_one_is_shared() -> None:
    outputs = project_geometry(OUTPUT_8B[0], num_turns=OUTPUT_8B[1], num_multiprocessors=H200)
    down = project_geometry(DOWN_1B[0], num_turns=DOWN_1B[1], num_multiprocessors=H200)
    narrow = project_geometry(DOWN_HALF_B[0], num_turns=DOWN_HALF_B[1], num_multiprocessors=H200)

    assert (1, 1, 256) == (outputs.rows, outputs.parts, outputs.num_blocks)
    assert (1, 2, 256) == (down.rows, down.parts, down.num_blocks)
    assert (4, 4, 224) == (narrow.rows, narrow.parts, narrow.num_blocks)


@pytest.mark.parametrize(
    ("rows", "columns", "rows_a_warp", "num_blocks"),
    [
        (1152, 896, 1, 72),
        (3072, 2048, 4, 96),
        (9216, 3072, 2, 396),
        (6144, 4096, 4, 192),
        (128_256, 2048, 2, 132),
    ],
    ids=["0.5B", "1B", "Phi-3", "8B", "head of 1B"],
)
def test_rows_after_a_norm_are_cut_for_whole_steps(
    rows: int, columns: int, rows_a_warp: int, num_blocks: int
) -> None:
    """So they were when docs/measurements.md was made: who cuts them otherwise measures whole steps anew."""
    geometry = rows_geometry(rows, columns, num_multiprocessors=H200, most_rows=4)

    assert (rows_a_warp, num_blocks) == (geometry.rows, geometry.num_blocks)


def test_warps_without_a_group_in_the_last_round_count_as_idle() -> None:
    """Down of 8B on 84 multiprocessors: 25 groups a block would take 8 warps a fourth round, for one."""
    rows, turns = DOWN_8B
    geometry = project_geometry(rows, num_turns=turns, num_multiprocessors=84)

    assert (4, 2, 252) == (geometry.rows, geometry.parts, geometry.num_blocks)


def test_a_router_is_shared_by_whole_blocks() -> None:
    """That of GPT-OSS 20B: 32 rows of float32, 2,880 columns, would be work for four blocks."""
    geometry = router_geometry(32, num_turns=12)

    assert (1, 16, 32) == (geometry.rows, geometry.parts, geometry.num_blocks)


def test_the_inside_is_made_in_whole_int8_blocks() -> None:
    for rows, turns, count in product(ROWS, TURNS, DEVICES.values()):
        for geometry in (
            inside_geometry(rows, num_turns=turns, num_multiprocessors=count),
            experts_inside_geometry(rows, num_multiprocessors=count),
        ):
            assert geometry.rows * geometry.num_warps == 32


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("num_multiprocessors", DEVICES.values())
def test_every_query_head_is_served_by_one_block_of_each_split(name: str, num_multiprocessors: int) -> None:
    for layer in MODELS[name].layers:
        attention = layer.attention
        geometry = attention_geometry(attention, num_multiprocessors)
        group_size = attention.num_heads // attention.num_kv_heads
        blocks_a_group = geometry.num_blocks // attention.num_kv_heads

        assert geometry.num_blocks == blocks_a_group * attention.num_kv_heads
        assert (blocks_a_group - 1) * geometry.heads < group_size <= blocks_a_group * geometry.heads


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("num_multiprocessors", DEVICES.values())
def test_splits_fill_the_device_once(name: str, num_multiprocessors: int) -> None:
    for layer in MODELS[name].layers:
        geometry = attention_geometry(layer.attention, num_multiprocessors)
        partial_results = geometry.num_blocks * geometry.num_splits * geometry.heads

        num_blocks, num_splits = geometry.num_blocks, geometry.num_splits
        assert num_splits == 1 or num_blocks * num_splits <= num_multiprocessors
        assert num_splits == 32 or num_blocks * (num_splits + 1) > num_multiprocessors
        assert geometry.partial_floats == partial_results * (layer.attention.head_dim + 4)


@pytest.mark.parametrize("head_dim", [8, 24, 64, 96, 128, 192, 256])
def test_every_warp_of_attention_has_room_for_a_page_on_the_smallest_multiprocessor(head_dim: int) -> None:
    attention = replace(MODELS["llama-3.1-8b-q4_k_m"].layers[0].attention, head_dim=head_dim)
    geometry = attention_geometry(attention, 84)
    page_bytes = 2 * 2 * 16 * head_dim  # of keys and values

    assert geometry.num_warps * geometry.num_stages * page_bytes < geometry.shared_bytes <= 80 * 1024
    assert (geometry.num_warps, geometry.num_stages) >= (4, 1)
