"""Matrix products of a prompt cut into blocks of one size after another, whatever their shape."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from backends.cuda import prefill_matmul
from backends.cuda.prefill_tile import Tile
from tests.backends.cuda.every_kernel import TILES

TILE_NUMBERS = range(len(TILES))


@contextmanager
def tile_number(number: int) -> Iterator[None]:
    """Every product takes this one."""

    def chosen(**_sizes: object) -> Tile:
        return TILES[number]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prefill_matmul, "choose_tile", chosen)
        yield
