"""How a matrix product of a chunk is cut into blocks."""

from dataclasses import dataclass

_TILE_ROWS = 16
_WARP_THREADS = 32
_FEW_TOKENS = 16
_FEW_WARPS = 8
_FEW_BLOCKS = 2  # of a multiprocessor
_PANEL_ROW_BYTES = 128
_MANY_PANELS = 6  # of shared memory
_FEW_PANELS = 2 * 2 * _FEW_WARPS
_RESULT_BYTES = _TILE_ROWS * _FEW_TOKENS * 4  # of a warp and sixteen rows


@dataclass(frozen=True, slots=True)
class Tile:
    """What one block computes: `Many` or `Few` of matmul_tile.cuh. A result does not depend on it."""

    source: str  # as the kernels have it
    tokens: int
    row_tiles: int  # of 16 rows
    num_threads: int
    shared_bytes: int

    @property
    def rows(self) -> int:
        return _TILE_ROWS * self.row_tiles


def _many(tokens: int, warps: int) -> Tile:
    """For the tensor cores' sake: a warp has 16 rows."""
    shared_bytes = _MANY_PANELS * _PANEL_ROW_BYTES * tokens
    return Tile(f"Many<{tokens}, {warps}>", tokens, warps, _WARP_THREADS * warps, shared_bytes)


def _few(row_tiles: int) -> Tile:
    """For the memory's sake: all warps have the same rows."""
    shared_bytes = _FEW_PANELS * _PANEL_ROW_BYTES * _FEW_TOKENS + _FEW_WARPS * row_tiles * _RESULT_BYTES
    return Tile(f"Few<{row_tiles}>", _FEW_TOKENS, row_tiles, _WARP_THREADS * _FEW_WARPS, shared_bytes)


TILES = (_many(128, 8), _many(64, 8), _many(64, 4), _few(4), _few(2), _few(1))


def choose_tile(*, num_tokens: int, num_rows: int, num_multiprocessors: int) -> Tile:
    """The largest tile that the tokens fill and that gives most multiprocessors what they have room for.

    Args:
        num_tokens: at most.
        num_rows: of all matrices.
        num_multiprocessors: of the device.
    """
    for tile in TILES:
        num_blocks = -(-num_tokens // tile.tokens) * -(-num_rows // tile.rows)
        is_filled = 2 * num_tokens > tile.tokens or tile.tokens == _FEW_TOKENS
        room = _FEW_BLOCKS if tile.tokens == _FEW_TOKENS else 1
        if is_filled and 4 * num_blocks >= 3 * room * num_multiprocessors:
            break
    return tile
