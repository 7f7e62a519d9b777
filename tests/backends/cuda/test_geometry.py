"""How the work of a decode kernel is cut: nothing left out, no multiprocessor idle where there is work."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import pytest

from backends.cuda.geometry import WARPS, attention_geometry, row_geometry
from tests.backends.cuda.compiled import DEVICES
from tests.backends.cuda.reference_models import reference_models, toy_models

pytestmark = pytest.mark.req("M0-W-1430")

MODELS = reference_models() | toy_models()
ROWS = [1, 7, 32, 128, 896, 1152, 4096, 4864, 14_336, 28_672, 151_936, 201_088]
COLUMNS = [32, 64, 896, 2048, 2880, 4096, 14_336]
PIECE_ELEMENTS = 32  # that a lane reads at once


def products() -> Iterator[tuple[int, int, int, bool]]:
    """Rows, columns, multiprocessors, and whether warps may share columns."""
    return product(ROWS, COLUMNS, DEVICES.values(), (False, True))


def test_warps_share_columns_in_whole_blocks_and_only_where_they_may() -> None:
    for rows, columns, count, can_share in products():
        geometry = row_geometry(rows, columns, num_multiprocessors=count, can_share_columns=can_share)

        assert WARPS % geometry.parts == 0
        assert geometry.parts == 1 or can_share
        assert (
            geometry.parts == 1 or columns >= geometry.parts * 32 * PIECE_ELEMENTS
        )  # something for each lane


def test_every_block_has_rows_and_half_the_multiprocessors_a_block_before_a_warp_takes_more_rows() -> None:
    for rows, columns, count, can_share in products():
        geometry = row_geometry(rows, columns, num_multiprocessors=count, can_share_columns=can_share)
        warps = -(-rows // geometry.rows) * geometry.parts

        assert 1 <= geometry.num_blocks
        assert (geometry.num_blocks - 1) * WARPS < warps
        assert 2 * geometry.num_blocks >= count or geometry.rows == 1


def test_a_narrow_matrix_fills_more_of_the_device_when_warps_share_its_columns() -> None:
    """The `down` of Qwen2.5-0.5B on an H200: 896 rows are work for 112 blocks of 8 warps."""
    alone = row_geometry(896, 4864, num_multiprocessors=132)
    shared = row_geometry(896, 4864, num_multiprocessors=132, can_share_columns=True)

    assert (1, 4) == (alone.parts, shared.parts)
    assert alone.rows < shared.rows  # the same number of warps reads the input less often


def test_a_router_is_shared_by_whole_blocks() -> None:
    """That of GPT-OSS 20B: 32 rows would be work for four blocks."""
    geometry = row_geometry(
        32, 2880, num_multiprocessors=132, can_share_columns=True, columns_a_warp=256, most_rows=4
    )

    assert (1, WARPS, 32) == (geometry.rows, geometry.parts, geometry.num_blocks)


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
