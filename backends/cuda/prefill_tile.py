"""How a matrix product of a chunk is cut into blocks."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

_TILE_ROWS = 16
_WARP_THREADS = 32
_PARTS = 8  # of the columns, which are summed one after the other
_FEW_TOKENS = 16
_MOST_FEW_ROW_TILES = 16
_MOST_PAIRED_ROW_TILES = 6
# How long a block takes to begin and end, in sixteens of rows; of two side by side, and each of these: fits.
_BEGIN_AND_END = 3.0
_PAIRED_BEGIN_AND_END = 1.8
_PANEL_ROW_BYTES = 128
_MANY_PANELS = 6  # of shared memory
_FEW_STAGE_BYTES = _PARTS * 2 * _PANEL_ROW_BYTES * _FEW_TOKENS  # two panels of each part
_RESULT_BYTES = _TILE_ROWS * _FEW_TOKENS * 4  # of a part and sixteen rows
_STATIC_BYTES = 2**10  # at most
_SYSTEM_BYTES = 2**10  # of each block's, not its own


@dataclass(frozen=True, slots=True)
class Tile:
    """What one block computes: `Many` or `Few` of matmul_tile.cuh. A result does not depend on it."""

    source: str  # as the kernels have it
    tokens: int
    row_tiles: int  # of 16 rows
    num_threads: int
    shared_bytes: int
    is_paired: bool = False  # two run side by side on a multiprocessor, where there is memory for both

    @property
    def rows(self) -> int:
        return _TILE_ROWS * self.row_tiles

    def num_blocks(self, row_counts: Sequence[int]) -> int:
        """For the rows of some matrices."""
        return sum(-(-num_rows // self.rows) for num_rows in row_counts)


def many(tokens: int, warps: int) -> Tile:
    """For the tensor cores' sake: a warp has 16 rows."""
    shared_bytes = _MANY_PANELS * _PANEL_ROW_BYTES * tokens
    return Tile(f"Many<{tokens}, {warps}>", tokens, warps, _WARP_THREADS * warps, shared_bytes)


def few(row_tiles: int, num_stages: int) -> Tile:
    """For the memory's sake.

    Args:
        row_tiles: of many, two warps of each part take turns at them; three are too uneven for that.
        num_stages: of the activations that there is room for.
    """
    sharers = 1 if row_tiles in (1, 3) else 2
    num_threads = _WARP_THREADS * _PARTS * sharers
    shared_bytes = num_stages * _FEW_STAGE_BYTES + _PARTS * row_tiles * _RESULT_BYTES
    return Tile(f"Few<{sharers}, {num_stages}>", _FEW_TOKENS, row_tiles, num_threads, shared_bytes)


def few_paired(row_tiles: int) -> Tile:
    """For many blocks: while one begins or ends, the other keeps the memory busy."""
    shared_bytes = 2 * _FEW_STAGE_BYTES + _PARTS * row_tiles * _RESULT_BYTES
    return Tile("Few<1, 2>", _FEW_TOKENS, row_tiles, _WARP_THREADS * _PARTS, shared_bytes, is_paired=True)


_MANY = (many(128, 8), many(64, 8), many(64, 4))


@lru_cache  # layers have the same shapes, and a start asks for each of them some times
def choose_tile(
    *, num_tokens: int, row_counts: tuple[int, ...], num_multiprocessors: int, max_shared_bytes: int
) -> Tile:
    """The largest tile of many tokens that they fill and that gives most of the device work; else one of few.

    Args:
        num_tokens: at most.
        row_counts: of each matrix.
        num_multiprocessors: of the device.
        max_shared_bytes: of a block.
    """
    for tile in _MANY:
        num_blocks = -(-num_tokens // tile.tokens) * tile.num_blocks(row_counts)
        if 2 * num_tokens > tile.tokens and 4 * num_blocks >= 3 * num_multiprocessors:
            return tile

    def duration(tile: Tile) -> float:
        """As long as its rows take, for as many blocks as a multiprocessor gets."""
        num_blocks = -(-num_tokens // tile.tokens) * tile.num_blocks(row_counts)
        if tile.is_paired:  # they begin at different times: of the last ones, what is left is shared
            num_pairs = max(1.0, num_blocks / num_multiprocessors / 2)
            return num_pairs * (2 * tile.row_tiles + _PAIRED_BEGIN_AND_END) + _BEGIN_AND_END
        return -(-num_blocks // num_multiprocessors) * (tile.row_tiles + _BEGIN_AND_END)

    # Of two that take as long the first counts: three stages where there is room for them.
    tiles = [few(row_tiles, stages) for row_tiles in range(1, _MOST_FEW_ROW_TILES + 1) for stages in (3, 2)]
    tiles += [few_paired(row_tiles) for row_tiles in range(1, _MOST_PAIRED_ROW_TILES + 1)]
    return min((tile for tile in tiles if _fits(tile, max_shared_bytes)), key=duration)


def _fits(tile: Tile, max_shared_bytes: int) -> bool:
    num_blocks = 2 if tile.is_paired else 1
    room_bytes = max_shared_bytes + _SYSTEM_BYTES  # of a multiprocessor
    return num_blocks * (tile.shared_bytes + _STATIC_BYTES + _SYSTEM_BYTES) <= room_bytes
