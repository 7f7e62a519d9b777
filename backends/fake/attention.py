"""Attention over a sequence's cache.

Letters: C = positions computed now, T = positions seen, H = hidden_size, N = num_kv_heads, G = query heads
per KV head, D = head_dim.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backends.fake.dense import Array, Dense
from backends.fake.norms import RmsNormWeights
from backends.fake.rope import Positions, Rotor
from ports.model_description import Attention

_MAX_SCORES = 2**22  # attention scores held at once; bounds memory where both prompt and context are long


@dataclass(frozen=True, slots=True)
class AttentionWeights:
    """Rows of Q and K, and what norms them, are arranged so that the pairs RoPE turns lie side by side."""

    shape: Attention  # the numbers of heads and their size
    rotor: Rotor | None
    query_key_value: Dense  # [N * G * D + 2 * N * D, H]
    query_norm: RmsNormWeights | None  # [D]
    key_norm: RmsNormWeights | None  # [D]
    sinks: Array | None  # [N, G]
    output: Dense  # [H, N * G * D]

    def __call__(self, x: Array, positions: Positions, keys: Array, values: Array) -> Array:
        """Attention of C new positions, whose keys and values are written to the cache first.

        Args:
            x: [C, H].
            positions: of the rows of `x`.
            keys: [N, capacity, D], of the cache.
            values: likewise.

        Returns:
            [C, H].
        """
        num_heads, num_kv_heads = self.shape.num_heads, self.shape.num_kv_heads
        heads = self.query_key_value(x).reshape(len(x), num_heads + 2 * num_kv_heads, self.shape.head_dim)
        if self.query_norm is not None:
            heads[:, :num_heads] = self.query_norm(heads[:, :num_heads])
        if self.key_norm is not None:
            heads[:, num_heads:-num_kv_heads] = self.key_norm(heads[:, num_heads:-num_kv_heads])
        if self.rotor is not None:
            rotation = positions.rotations(self.rotor)
            turned = heads[:, :-num_kv_heads, : 2 * rotation.shape[-1]].view(np.complex64)
            turned *= rotation
        keys[:, positions.start : positions.stop] = heads[:, num_heads:-num_kv_heads].swapaxes(0, 1)
        values[:, positions.start : positions.stop] = heads[:, -num_kv_heads:].swapaxes(0, 1)
        queries = heads[:, :num_heads]
        queries *= np.float32(1 / math.sqrt(self.shape.head_dim))
        return self.output(self._mixed(queries, positions, keys, values))

    def _mixed(self, queries: Array, positions: Positions, keys: Array, values: Array) -> Array:
        """All queries over the cache, a bounded number at a time: [C, N * G * D]."""
        block = max(_MAX_SCORES // (self.shape.num_heads * positions.stop), 1)
        blocks = (slice(i, i + block) for i in range(0, len(queries), block))
        mixed = [self._attend(queries[rows], positions.ids[rows], keys, values) for rows in blocks]
        return mixed[0] if len(mixed) == 1 else np.concatenate(mixed)

    def _attend(self, queries: Array, positions: NDArray[np.int64], keys: Array, values: Array) -> Array:
        """Attention of some queries over the keys they see, up to their own position.

        Args:
            queries: [C, N * G, D], scaled.
            positions: [C] of the queries, ascending.
            keys: [N, capacity, D].
            values: likewise.

        Returns:
            [C, N * G * D].
        """
        num_rows, num_heads, head_dim = queries.shape
        num_kv_heads = len(keys)
        seen = np.arange(self._first_seen(int(positions[0])), positions[-1] + 1)
        keys, values = keys[:, seen[0] : seen[-1] + 1], values[:, seen[0] : seen[-1] + 1]
        grouped = queries.reshape(num_rows, num_kv_heads, -1, head_dim).swapaxes(0, 1)  # [N, C, G, D]
        scores: Array = grouped.reshape(num_kv_heads, -1, head_dim) @ keys.swapaxes(1, 2)  # [N, C * G, T]
        if num_rows > 1:
            is_hidden = self._is_hidden(seen, positions)
            np.copyto(scores, -np.inf, where=np.repeat(is_hidden, num_heads // num_kv_heads, axis=0))
        self._softmax(scores)
        mixed: Array = (scores @ values).reshape(num_kv_heads, num_rows, -1, head_dim)
        return mixed.swapaxes(0, 1).reshape(num_rows, -1)

    def _softmax(self, scores: Array) -> None:
        """Of every row of [N, C * G, T], in place; a head's sink takes its share and gives nothing."""
        top = scores.max(axis=-1, keepdims=True)
        if self.sinks is None:
            scores -= top
            np.exp(scores, out=scores)
            scores /= scores.sum(axis=-1, keepdims=True)
            return
        sinks = np.tile(self.sinks, (1, scores.shape[1] // self.sinks.shape[1]))[..., None]  # [N, C * G, 1]
        top = np.maximum(top, sinks)
        scores -= top
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True) + np.exp(sinks - top)

    def _first_seen(self, position: int) -> int:
        window = self.shape.window
        return 0 if window is None else max(position + 1 - window, 0)

    def _is_hidden(self, seen: NDArray[np.int64], positions: NDArray[np.int64]) -> NDArray[np.bool_]:
        """[C, T] which keys are later than a query, or too early for its window."""
        is_hidden = seen > positions[:, None]
        if self.shape.window is not None:
            is_hidden |= seen <= positions[:, None] - self.shape.window
        return is_hidden
