"""Log-probabilities of given text."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from backends.fake.dense import Array
from backends.fake.forward import forward, logits
from backends.fake.kv_cache import KvCache
from backends.fake.weights import Weights

_MAX_LOGITS = 2**20  # held at once; a large vocabulary times a long prompt would be gigabytes


def score_tokens(weights: Weights, token_ids: Sequence[int], *, chunk_tokens: int) -> NDArray[np.float32]:
    """Natural logarithm of each token's probability given those before it.

    Args:
        weights: of the model.
        token_ids: [P], 2 <= P.
        chunk_tokens: positions computed at once.

    Returns:
        [P - 1], for token_ids[1:].
    """
    cache = KvCache(weights.description.layers)
    targets = np.asarray(token_ids[1:])
    scores = np.empty(len(targets), dtype=np.float32)
    for start in range(0, len(targets), chunk_tokens):
        inputs = token_ids[start : min(start + chunk_tokens, len(targets))]
        hidden = forward(weights, inputs, cache)
        _score_rows(weights, hidden, targets[start:], scores[start:])
    return scores


def _score_rows(
    weights: Weights, hidden: Array, targets: NDArray[np.int64], out: NDArray[np.float32]
) -> None:
    block = max(_MAX_LOGITS // weights.description.vocab_size, 1)
    for start in range(0, len(hidden), block):
        rows = logits(weights, hidden[start : start + block]).astype(np.float64)
        rows -= rows.max(axis=1, keepdims=True)
        wanted = rows[np.arange(len(rows)), targets[start : start + len(rows)]]
        out[start : start + len(rows)] = wanted - np.log(np.exp(rows).sum(axis=1))
