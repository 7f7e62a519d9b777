"""How the work of a decode kernel is cut into rows a warp, warps and blocks."""

from dataclasses import dataclass

from ports.model_description import Attention

WARPS = 8  # of a block
_BLOCKS_A_MULTIPROCESSOR = 2  # leaves room for the next kernel's first blocks
_MOST_SPLITS = 32
_PIECE_ELEMENTS = 32  # of a row, read by one lane at once


@dataclass(frozen=True, slots=True)
class RowGeometry:
    """Of a matrix-vector product."""

    rows: int  # of one warp at a time
    parts: int  # warps that share a row's columns
    num_blocks: int


@dataclass(frozen=True, slots=True)
class AttentionGeometry:
    """Of decode attention: a block serves `heads` query heads of a KV head over a split of the positions."""

    heads: int
    num_blocks: int
    num_splits: int
    partial_floats: int


def row_geometry(
    num_rows: int, num_columns: int, *, num_multiprocessors: int, can_share_columns: bool = False
) -> RowGeometry:
    """As many rows a warp as leave every multiprocessor warps enough."""
    warps_wanted = num_multiprocessors * WARPS
    rows = 4 if num_rows >= 16 * warps_wanted else 2 if num_rows >= 4 * warps_wanted else 1
    parts = 1
    if can_share_columns:
        while (
            parts < WARPS
            and num_columns >= 2 * parts * 32 * _PIECE_ELEMENTS
            and num_rows * parts < 4 * warps_wanted
        ):
            parts *= 2
    num_groups = -(-num_rows // rows)
    num_blocks = -(-num_groups * parts // WARPS)
    return RowGeometry(rows, parts, min(num_blocks, _BLOCKS_A_MULTIPROCESSOR * num_multiprocessors))


def attention_geometry(attention: Attention, num_multiprocessors: int) -> AttentionGeometry:
    """As many heads a block as registers allow, as many splits as fill the device."""
    eights = attention.head_dim // 8
    lanes = next(lanes for lanes in (8, 4, 2, 1) if eights % lanes == 0)
    group_size = attention.num_heads // attention.num_kv_heads
    heads = min(max(4 // (eights // lanes), 1), group_size)
    num_blocks = attention.num_kv_heads * -(-group_size // heads)
    num_splits = min(max(2 * num_multiprocessors // num_blocks, 1), _MOST_SPLITS)
    return AttentionGeometry(
        heads, num_blocks, num_splits, num_blocks * num_splits * heads * (attention.head_dim + 2)
    )
