"""Keys and values of one sequence.

The ledger counts FP16 pages, as a GPU would hold them. Here they are float32 in one piece, which NumPy
multiplies fastest, and grow as the sequence does: a long context costs the host nothing until it is used.
"""

from collections.abc import Sequence

import numpy as np

from backends.fake.dense import Array
from ports.model_description import Layer

_FIRST_CAPACITY = 64


class KvCache:
    """Per layer keys and values, each [num_kv_heads, capacity, head_dim]; the first `num_tokens` are set."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        shapes = [(layer.attention.num_kv_heads, layer.attention.head_dim) for layer in layers]
        self._capacity = _FIRST_CAPACITY
        self.num_tokens = 0
        self.keys = [_empty(heads, self._capacity, size) for heads, size in shapes]
        self.values = [_empty(heads, self._capacity, size) for heads, size in shapes]

    def make_room(self, num_tokens: int) -> None:
        """Let `num_tokens` more positions fit, at least doubling what must grow."""
        needed = self.num_tokens + num_tokens
        if needed <= self._capacity:
            return
        self._capacity = max(needed, 2 * self._capacity)
        self.keys = [self._grown(array) for array in self.keys]
        self.values = [self._grown(array) for array in self.values]

    def _grown(self, array: Array) -> Array:
        heads, _, size = array.shape
        larger = _empty(heads, self._capacity, size)
        larger[:, : self.num_tokens] = array[:, : self.num_tokens]
        return larger


def _empty(num_heads: int, capacity: int, head_dim: int) -> Array:
    return np.empty((num_heads, capacity, head_dim), dtype=np.float32)
