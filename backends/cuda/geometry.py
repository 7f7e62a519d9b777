"""How the work of a decode kernel is cut into rows a warp, warps and blocks."""

from dataclasses import dataclass

from ports.model_description import Attention

WARPS = 8  # of a block
INSIDE_WARPS, INSIDE_ROWS = 16, 2  # of a block that makes whole int8 blocks of 32 elements
_COLUMNS_A_WARP = 1024  # what its lanes read of a row at once
_MANY_COLUMNS = 4096  # every block prepares the input for itself: the longer it is, the fewer blocks
_MOST_SPLITS = 32


@dataclass(frozen=True, slots=True)
class RowGeometry:
    """Of a matrix-vector product."""

    rows: int  # of one warp at a time
    parts: int  # warps that share a row's columns
    num_blocks: int


@dataclass(frozen=True, slots=True)
class ExpertsGeometry:
    """Of the last matrices of a token's experts: as many warps as experts are active share the rows."""

    rows: int  # of one warp at a time
    groups: int  # of such warps, in a block
    num_blocks: int


@dataclass(frozen=True, slots=True)
class AttentionGeometry:
    """Of decode attention: a block serves `heads` query heads of a KV head over a split of the positions."""

    heads: int
    num_blocks: int
    num_splits: int
    partial_floats: int


def row_geometry(
    num_rows: int,
    num_columns: int,
    *,
    num_multiprocessors: int,
    can_share_columns: bool = False,
) -> RowGeometry:
    """As many rows a warp as leave every multiprocessor warps enough."""
    warps_wanted = num_multiprocessors * WARPS
    parts = 1
    if can_share_columns:
        while (
            parts < WARPS
            and num_columns >= 2 * parts * _COLUMNS_A_WARP
            and num_rows * parts < 4 * warps_wanted
        ):
            parts *= 2
    # More rows a warp read the input less often; fewer keep every multiprocessor at work.
    rows = next((rows for rows in (4, 2) if 2 * num_rows * parts >= rows * warps_wanted), 1)
    num_groups = -(-num_rows // rows)
    blocks_a_multiprocessor = 1 if num_columns >= _MANY_COLUMNS else 2
    num_blocks = -(-num_groups * parts // WARPS)
    return RowGeometry(rows, parts, min(num_blocks, blocks_a_multiprocessor * num_multiprocessors))


def experts_geometry(num_rows: int, num_active: int, *, num_multiprocessors: int) -> ExpertsGeometry:
    """As many rows a warp as leave every multiprocessor warps enough."""
    warps_wanted = num_multiprocessors * WARPS
    rows = next((rows for rows in (4, 2) if 2 * num_rows * num_active >= rows * warps_wanted), 1)
    groups = max(WARPS // num_active, 1)
    num_blocks = -(-num_rows // (rows * groups))
    return ExpertsGeometry(rows, groups, min(num_blocks, 2 * num_multiprocessors))


def inside_geometry(num_rows: int, *, num_multiprocessors: int) -> RowGeometry:
    """Of the inside of a feed-forward that is written as int8 blocks."""
    num_blocks = -(-num_rows // (INSIDE_ROWS * INSIDE_WARPS))
    return RowGeometry(INSIDE_ROWS, 1, min(num_blocks, num_multiprocessors))


def attention_geometry(attention: Attention, num_multiprocessors: int) -> AttentionGeometry:
    """As many heads a block as registers allow, as many splits as fill the device."""
    eights = attention.head_dim // 8
    group_size = attention.num_heads // attention.num_kv_heads
    heads = min(4 if eights <= 8 else 1, group_size)  # a lane keeps 8 elements of a key, or more
    num_blocks = attention.num_kv_heads * -(-group_size // heads)
    num_splits = min(max(2 * num_multiprocessors // num_blocks, 1), _MOST_SPLITS)
    return AttentionGeometry(
        heads, num_blocks, num_splits, num_blocks * num_splits * heads * (attention.head_dim + 2)
    )
