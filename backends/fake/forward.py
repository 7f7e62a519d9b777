"""The forward pass in NumPy float32: the numerical reference of the other backends.

Letters: C = positions computed now, H = hidden_size, V = vocab_size.
"""

from collections.abc import Sequence

import numpy as np

from backends.fake.dense import Array
from backends.fake.kv_cache import KvCache
from backends.fake.rope import Positions
from backends.fake.weights import Weights


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
    if weights.position_embedding is not None:
        x += weights.position_embedding[positions.ids]
    with np.errstate(over="ignore"):  # silu of a very negative number is 0 by way of an infinity
        for layer, keys, values in zip(weights.layers, cache.keys, cache.values, strict=True):
            x += layer.attention(layer.attention_norm(x), positions, keys, values)
            x += layer.feed_forward(layer.feed_forward_norm(x))
    cache.num_tokens += num_rows
    return x


def logits(weights: Weights, hidden: Array) -> Array:
    """[C, H] as `forward` returns it, or some of its rows, to [C, V]."""
    return weights.output(weights.output_norm(hidden))
