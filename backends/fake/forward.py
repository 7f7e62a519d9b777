"""The forward pass in NumPy float32: the numerical reference of the other backends.

Letters: C = positions computed now, T = positions so far, H = hidden_size, V = vocab_size, N = num_kv_heads,
G = query heads per KV head, D = head_dim.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from backends.fake.kv_cache import KvCache
from backends.fake.rope import Positions
from backends.fake.weights import Array, LayerWeights, Norm, Weights

_MAX_SCORES = 2**22  # attention scores held at once; bounds memory where both prompt and context are long


def forward(weights: Weights, token_ids: Sequence[int], cache: KvCache) -> Array:
    """Compute the next C positions of a sequence and add their keys and values to `cache`.

    Args:
        weights: of the model.
        token_ids: [C], 1 <= C, each in [0, V).
        cache: of the positions before.

    Returns:
        [C, H], after the last layer and before the output norm.
    """
    num_rows = len(token_ids)
    cache.make_room(num_rows)
    positions = Positions(cache.num_tokens, cache.num_tokens + num_rows)
    x: Array = weights.embedding[np.asarray(token_ids)]
    with np.errstate(over="ignore"):  # silu of a very negative number is 0 by way of an infinity
        for layer, keys, values in zip(weights.layers, cache.keys, cache.values, strict=True):
            x += _attention(layer, _rms_norm(x, layer.attention_norm), positions, keys, values)
            x += _feed_forward(layer, _rms_norm(x, layer.feed_forward_norm))
    cache.num_tokens += num_rows
    return x


def logits(weights: Weights, hidden: Array) -> Array:
    """[C, H] as `forward` returns it, or some of its rows, to [C, V]."""
    return weights.output(_rms_norm(hidden, weights.output_norm))


def _rms_norm(x: Array, norm: Norm) -> Array:
    mean_square = np.einsum("ch,ch->c", x, x) / x.shape[1]
    y: Array = x * (1 / np.sqrt(mean_square + np.float32(norm.eps)))[:, None]
    y *= norm.weight
    return y


def _feed_forward(layer: LayerWeights, x: Array) -> Array:
    gate_up = layer.gate_up(x)
    size = gate_up.shape[1] // 2
    gate, up = gate_up[:, :size], gate_up[:, size:]
    y = np.exp(-gate)
    y += 1
    np.divide(gate, y, out=y)
    y *= up
    return layer.down(y)


def _attention(layer: LayerWeights, x: Array, positions: Positions, keys: Array, values: Array) -> Array:
    """Attention of C new positions, whose keys and values are written to the cache first."""
    num_heads, num_kv_heads = layer.shape.num_heads, layer.shape.num_kv_heads
    heads = layer.query_key_value(x).reshape(len(x), num_heads + 2 * num_kv_heads, layer.shape.head_dim)
    rotation = positions.rotations(layer.frequencies)
    turned = heads[:, :-num_kv_heads, : 2 * rotation.shape[-1]].view(np.complex64)
    turned *= rotation
    keys[:, positions.start : positions.stop] = heads[:, num_heads:-num_kv_heads].swapaxes(0, 1)
    values[:, positions.start : positions.stop] = heads[:, -num_kv_heads:].swapaxes(0, 1)
    queries = heads[:, :num_heads]
    queries *= np.float32(1 / math.sqrt(layer.shape.head_dim))
    keys, values = keys[:, : positions.stop], values[:, : positions.stop]
    block = max(_MAX_SCORES // (num_heads * positions.stop), 1)
    blocks = (slice(i, i + block) for i in range(0, len(x), block))
    mixed = [_attend(queries[rows], keys, values, positions.ids[rows]) for rows in blocks]
    return layer.attention_output(mixed[0] if len(mixed) == 1 else np.concatenate(mixed))


def _attend(queries: Array, keys: Array, values: Array, positions: NDArray[np.int64]) -> Array:
    """Attention of some queries over all keys up to their own position.

    Args:
        queries: [C, N * G, D], scaled.
        keys: [N, T, D].
        values: [N, T, D].
        positions: [C] of the queries.

    Returns:
        [C, N * G * D].
    """
    num_rows, num_heads, head_dim = queries.shape
    num_kv_heads, num_tokens, _ = keys.shape
    grouped = queries.reshape(num_rows, num_kv_heads, -1, head_dim).swapaxes(0, 1)  # [N, C, G, D]
    scores: Array = grouped.reshape(num_kv_heads, -1, head_dim) @ keys.swapaxes(1, 2)  # [N, C * G, T]
    if num_rows > 1:
        is_future = np.arange(num_tokens) > np.repeat(positions, num_heads // num_kv_heads)[:, None]
        np.copyto(scores, -np.inf, where=is_future)
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    mixed: Array = (scores @ values).reshape(num_kv_heads, num_rows, -1, head_dim)
    return mixed.swapaxes(0, 1).reshape(num_rows, -1)
