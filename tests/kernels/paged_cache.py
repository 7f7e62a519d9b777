"""A sequence's keys and values in pages, as one layer of several sees them."""

import numpy as np
from numpy.typing import NDArray

from backends.cuda.prefill_args import KvPages
from domain.memory_plan import PAGE_TOKENS
from tests.kernels.gpu import Gpu

Halves = NDArray[np.float16]


class PagedCache:
    """`num_positions` of a sequence in pages out of order; what is never written is NaN.

    A page holds another layer before this one and one after it.
    """

    def __init__(self, gpu: Gpu, num_positions: int, *, num_kv_heads: int, head_dim: int) -> None:
        self._gpu = gpu
        self._shape = 2, num_kv_heads, PAGE_TOKENS, head_dim
        self._layer_halves = 2 * num_kv_heads * PAGE_TOKENS * head_dim
        num_pages = -(-num_positions // PAGE_TOKENS) + 3
        self._table = np.random.default_rng(num_positions).permutation(num_pages).astype(np.int32)
        self._pool_shape = num_pages, 3, *self._shape
        self._d_pool = gpu.empty(2 * 3 * num_pages * self._layer_halves)
        self.args = KvPages(
            self._d_pool,
            gpu.upload(self._table),
            2 * 3 * self._layer_halves,
            2 * self._layer_halves,
            num_kv_heads,
            head_dim,
        )

    def write(self, keys: Halves, values: Halves) -> None:
        """From position 0 on: each [num_kv_heads, positions, head_dim]."""
        pool = self._download()
        for place, keys_or_values in enumerate((keys, values)):
            for position in range(keys.shape[1]):
                self._row(pool, position)[place] = keys_or_values[:, position]
        self.args.d_pool = self._d_pool = self._gpu.upload(pool)

    def read(self, positions: slice) -> tuple[Halves, Halves]:
        """Keys and values of those positions; everything else must still be NaN."""
        pool = self._download()
        rows = [self._row(pool, position) for position in range(positions.start, positions.stop)]
        keys, values = np.stack(rows, axis=2)
        for row in rows:
            row[:] = np.nan
        assert np.isnan(pool).all()
        return keys, values

    def _row(self, pool: Halves, position: int) -> Halves:
        """A view of [2, num_kv_heads, head_dim]."""
        row: Halves = pool[self._table[position // PAGE_TOKENS], 1, :, :, position % PAGE_TOKENS]
        return row

    def _download(self) -> Halves:
        return self._gpu.download(self._d_pool, self._pool_shape, np.float16)
