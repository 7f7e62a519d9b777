"""How the work of a decode kernel is cut into rows a warp, warps and blocks.

A kernel's blocks start beside those of the one before it as far as there is room, and have their weights
under way by the time that one ends. So the fastest cut of a kernel by itself is not the fastest in a step:
these were chosen by the time of whole steps of five models on an H200 (docs/measurements.md).
"""

from dataclasses import dataclass
from functools import partial

from ports.model_description import Attention

WARPS = 8  # of most blocks
_NARROW, _WIDE = 4, 16  # of others
_MOST_ROWS = 4  # of a warp at a time
_MANY_COLUMNS = 4096  # every block norms the input for itself: the longer it is, the fewer blocks
_SHORT_TURNS = 4  # of a warp: all of them are under way at once
_EVEN = 0.9  # the share of the busiest multiprocessor's rows that the others have
_INT8_BLOCK = 32
_MOST_SPLITS = 32  # one lane each when they are merged
_MOST_HEADS = 4  # of a block of attention: of more, putting warps and splits together takes longer
_PAGE_TOKENS = 16
_ATTENTION_BYTES = 80 * 1024  # of pages under way: the smallest multiprocessors have 100 KB
_MOST_STAGES = 2


@dataclass(frozen=True, slots=True)
class RowGeometry:
    """Of a matrix-vector product."""

    rows: int  # of one warp at a time
    parts: int  # warps that share a row's columns
    num_warps: int  # of a block
    num_blocks: int
    blocks_a_multiprocessor: int  # of the busiest


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


def rows_geometry(
    num_rows: int, num_columns: int, *, num_multiprocessors: int, most_rows: int
) -> RowGeometry:
    """Of matrices whose input every block norms for itself.

    Args:
        num_rows: of all matrices.
        num_columns: of each.
        num_multiprocessors: of the device.
        most_rows: that there is room for, of a warp in a block of `WARPS`.
    """
    cut = partial(_cut, num_rows, num_multiprocessors=num_multiprocessors)
    if num_rows >= 2 * _WIDE * _MOST_ROWS * num_multiprocessors:  # a head
        return cut(2, num_warps=_WIDE)
    if num_rows < 2 * WARPS * num_multiprocessors:  # too few for two a warp
        return cut(1, num_warps=_WIDE, most_blocks=2)
    if num_columns >= _MANY_COLUMNS:
        return cut(most_rows, num_warps=WARPS, most_blocks=2)
    choices = [cut(rows, num_warps=WARPS, most_blocks=3) for rows in (most_rows, min(most_rows, 2))]
    return max(choices, key=lambda choice: _evenness(choice, num_rows, num_multiprocessors))


def router_geometry(num_rows: int, *, num_turns: int) -> RowGeometry:
    """Of a matrix of so few rows that a block can have one, for whose result the rest of the layer waits.

    Args:
        num_rows: of the matrix.
        num_turns: that a warp would take for a row by itself.
    """
    parts = next((parts for parts in (1, 2, 4, 8) if parts >= num_turns), _WIDE)
    num_warps = max(parts, WARPS)
    return RowGeometry(1, parts, num_warps, -(-num_rows * parts // num_warps), 1)


def project_geometry(num_rows: int, *, num_turns: int, num_multiprocessors: int) -> RowGeometry:
    """Of a matrix whose input needs no norm: of three ways the first that comes out even, or nearly so.

    Args:
        num_rows: of the matrix.
        num_turns: that a warp would take for a row by itself.
        num_multiprocessors: of the device.
    """
    cut = partial(_cut, num_rows, num_multiprocessors=num_multiprocessors)
    choices = []
    parts = next((parts for parts in (1, 2, 4, 8) if parts * _SHORT_TURNS >= num_turns), _WIDE)
    if num_rows * parts <= 2 * _WIDE * num_multiprocessors:  # a warp has one row, all of it under way at once
        choices.append(cut(1, parts=parts, num_warps=_WIDE, most_blocks=2))
    if num_turns > 1:
        is_narrow = num_rows < 2 * _MOST_ROWS * num_multiprocessors
        parts = min(4 if is_narrow else 2, num_turns // 2 * 2)
        choices.append(cut(_MOST_ROWS, parts=parts, num_warps=_NARROW, most_blocks=3))
    choices.append(cut(2, num_warps=WARPS))
    rated = [(_evenness(choice, num_rows, num_multiprocessors), choice) for choice in choices]
    most_even = max(rated, key=lambda pair: (pair[0], pair[1].num_blocks))[1]
    return next((choice for evenness, choice in rated if evenness >= _EVEN), most_even)


def inside_geometry(num_rows: int, *, num_turns: int, num_multiprocessors: int) -> RowGeometry:
    """Of the inside of a feed-forward that is written as int8 blocks: a block of threads makes whole ones.

    Args:
        num_rows: of the inside.
        num_turns: that a warp takes for a row of one of its matrices.
        num_multiprocessors: of the device.
    """
    num_warps, most_blocks = (WARPS, 2) if num_turns > 1 else (_WIDE, 1)
    return _cut(
        num_rows,
        _INT8_BLOCK // num_warps,
        num_warps=num_warps,
        num_multiprocessors=num_multiprocessors,
        most_blocks=most_blocks,
    )


def experts_inside_geometry(num_rows: int, *, num_multiprocessors: int) -> RowGeometry:
    """Likewise, of the rows of all experts of a token."""
    return _cut(num_rows, _INT8_BLOCK // _WIDE, num_warps=_WIDE, num_multiprocessors=num_multiprocessors)


def experts_down_geometry(num_rows: int, num_active: int, *, num_multiprocessors: int) -> RowGeometry:
    """Of the last matrices of a token's experts: as many warps as experts are active share the rows."""
    warps_wanted = num_multiprocessors * WARPS
    rows = next((rows for rows in (4, 2) if 2 * num_rows * num_active >= rows * warps_wanted), 1)
    num_warps = max(WARPS // num_active, 1) * num_active
    return _cut(
        num_rows, rows, parts=num_active, num_warps=num_warps, num_multiprocessors=num_multiprocessors
    )


def _cut(
    num_rows: int,
    rows: int,
    *,
    num_warps: int,
    num_multiprocessors: int,
    parts: int = 1,
    most_blocks: int = 1,
) -> RowGeometry:
    """As many blocks as there are rows for, up to `most_blocks` a multiprocessor."""
    num_groups = -(-num_rows // rows)
    num_blocks = min(-(-num_groups * parts // num_warps), most_blocks * num_multiprocessors)
    return RowGeometry(rows, parts, num_warps, num_blocks, -(-num_blocks // num_multiprocessors))


def _evenness(geometry: RowGeometry, num_rows: int, num_multiprocessors: int) -> float:
    """The rows of a multiprocessor by those that the busiest has time for: at most 1."""
    groups = -(-num_rows // (geometry.rows * geometry.num_blocks))  # of a block
    if geometry.blocks_a_multiprocessor == 1:  # nothing fills in for warps that have no group left
        groups_at_once = geometry.num_warps // geometry.parts
        groups = -(-groups // groups_at_once) * groups_at_once
    busiest = geometry.blocks_a_multiprocessor * groups * geometry.rows
    return num_rows / num_multiprocessors / busiest


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
