"""How the work of a decode kernel is cut into rows a warp, warps and blocks."""

from dataclasses import dataclass

from ports.model_description import Attention

WARPS = 8  # of a block
INSIDE_WARPS, INSIDE_ROWS = 16, 2  # of a block that makes whole int8 blocks of 32 elements
_COLUMNS_A_WARP = 1024  # what its lanes read of a row at once
_MANY_COLUMNS = 4096  # every block prepares the input for itself: the longer it is, the fewer blocks
_MOST_SPLITS = 32  # one lane each when they are merged
_MOST_HEADS = 8  # of a block of attention: half the rows of a matrix product
_PAGE_TOKENS = 16
_ATTENTION_BYTES = 80 * 1024  # of pages under way: the smallest multiprocessors have 100 KB
_MOST_STAGES = 2


@dataclass(frozen=True, slots=True)
class RowGeometry:
    """Of a matrix-vector product."""

    rows: int  # of one warp at a time
    parts: int  # warps that share a row's columns
    num_blocks: int
    blocks_a_multiprocessor: int


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
    num_warps: int  # of a block; each takes a page at a time
    num_blocks: int
    num_splits: int
    num_stages: int  # pages of a warp that are under way
    shared_bytes: int  # dynamic
    partial_floats: int


def row_geometry(
    num_rows: int,
    num_columns: int,
    *,
    num_multiprocessors: int,
    can_share_columns: bool = False,
    columns_a_warp: int = _COLUMNS_A_WARP,
    most_rows: int = 4,
) -> RowGeometry:
    """As many rows a warp as leave every multiprocessor warps enough.

    Args:
        num_rows: of the matrix.
        num_columns: of it.
        num_multiprocessors: of the device.
        can_share_columns: whether the kernel lets warps share a row.
        columns_a_warp: that must be left for each of them, twice at least.
        most_rows: of a warp.
    """
    warps_wanted = num_multiprocessors * WARPS
    parts = 1
    if can_share_columns:
        while (
            parts < WARPS
            and num_columns >= 2 * parts * columns_a_warp
            and num_rows * parts < 4 * warps_wanted
        ):
            parts *= 2
    # More rows a warp read the input less often; fewer keep every multiprocessor at work.
    rows = next(
        (rows for rows in (4, 2) if rows <= most_rows and 2 * num_rows * parts >= rows * warps_wanted), 1
    )
    num_groups = -(-num_rows // rows)
    num_blocks = -(-num_groups * parts // WARPS)
    # Rows are dealt out to the blocks one group after another. A second block on some multiprocessors only
    # would be a second share for those.
    has_two = num_columns < _MANY_COLUMNS and num_blocks >= 2 * num_multiprocessors
    blocks_a_multiprocessor = 2 if has_two else 1
    num_blocks = min(num_blocks, blocks_a_multiprocessor * num_multiprocessors)
    return RowGeometry(rows, parts, num_blocks, blocks_a_multiprocessor)


def experts_geometry(num_rows: int, num_active: int, *, num_multiprocessors: int) -> ExpertsGeometry:
    """As many rows a warp as leave every multiprocessor warps enough."""
    warps_wanted = num_multiprocessors * WARPS
    rows = next((rows for rows in (4, 2) if 2 * num_rows * num_active >= rows * warps_wanted), 1)
    groups = max(WARPS // num_active, 1)
    num_blocks = -(-num_rows // (rows * groups))
    return ExpertsGeometry(rows, groups, min(num_blocks, num_multiprocessors))


def inside_geometry(num_rows: int, *, num_multiprocessors: int) -> RowGeometry:
    """Of the inside of a feed-forward that is written as int8 blocks."""
    num_blocks = -(-num_rows // (INSIDE_ROWS * INSIDE_WARPS))
    return RowGeometry(INSIDE_ROWS, 1, min(num_blocks, num_multiprocessors), 1)


def attention_geometry(attention: Attention, num_multiprocessors: int) -> AttentionGeometry:
    """As many splits as fill the device once: a multiprocessor's second block would come after its first."""
    group_size = attention.num_heads // attention.num_kv_heads
    blocks_a_group = -(-group_size // _MOST_HEADS)
    heads = -(-group_size // blocks_a_group)
    num_blocks = attention.num_kv_heads * blocks_a_group
    num_splits = min(max(num_multiprocessors // num_blocks, 1), _MOST_SPLITS)
    row = -(-attention.head_dim // 16) * 16 + 8  # elements, as `PageSlot` has them
    slot_bytes = 2 * 2 * _PAGE_TOKENS * row
    num_warps = WARPS if WARPS * slot_bytes <= _ATTENTION_BYTES else WARPS // 2
    num_stages = min(_ATTENTION_BYTES // (num_warps * slot_bytes), _MOST_STAGES)
    return AttentionGeometry(
        heads,
        num_warps,
        num_blocks,
        num_splits,
        num_stages,
        num_warps * num_stages * slot_bytes,
        num_blocks * num_splits * heads * (attention.head_dim + 4),
    )
