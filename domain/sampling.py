"""How the next token is chosen from logits. The reference that every backend's own sampler is held to.

Order, fixed: temperature, repetition penalty, greedy or top-k, softmax, top-p, min-p, inverse CDF. All of it
in float64, so that two float32 logits that differ stay different. Letters: V = vocab_size, N = kept ids.
"""

from collections.abc import Iterable

import numpy as np
from numpy.random import Philox
from numpy.typing import NDArray

from domain.errors import DeviceError
from ports.sampling import SamplingParams

Ids = NDArray[np.int64]
Floats = NDArray[np.float32] | NDArray[np.float64]

_SMALLEST_PENALTY = 1e-3  # 0 is in the accepted range; dividing by it would make infinities


def sample(logits: NDArray[np.float32], history: Iterable[int], params: SamplingParams, step: int) -> int:
    """Choose the next token id.

    Args:
        logits: [V], float32; -inf marks an id that must not be chosen. Not changed.
        history: the ids generated so far, in any order; prompt ids are not part of it.
        params: temperature, filters, penalty and seed.
        step: index of the token to choose among the generated ones, from 0; picks the random draw.

    Returns:
        An id in [0, V). Ties, in the argmax and at every cut-off, go to the lower id.

    Raises:
        DeviceError: a logit is NaN or +inf, or none is finite.
    """
    scores = _penalise(logits, history, params.repetition_penalty)
    best_id = int(scores.argmax())  # a NaN, where there is one, counts as the largest
    if not np.isfinite(scores[best_id]):
        raise DeviceError(f"logits are not finite: id {best_id} has {scores[best_id]}")
    if params.temperature == 0:
        return best_id
    ids = _top_k(scores, params.top_k)
    weights = _softmax_weights(scores[ids], params.temperature)
    ids, weights = _top_p(ids, weights, params.top_p)
    ids, weights = _min_p(ids, weights, params.min_p)
    return int(ids[_invert_cdf(weights, uniform(params.seed, step))])


def uniform(seed: int, step: int) -> float:
    """Draw the number in [0, 1) that belongs to (`seed`, `step`) and to nothing else.

    Philox4x64-10 with key (`seed`, 0). NumPy advances the counter before it makes a block, so this is the
    upper 53 bits of the first word of block `step` + 1.

    Args:
        seed: in [0, 2^64).
        step: in [0, 2^64).

    Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".
    """
    word = int(Philox(key=seed, counter=step).random_raw())
    return (word >> 11) * 2.0**-53


def _penalise(logits: NDArray[np.float32], history: Iterable[int], penalty: float) -> Floats:
    """Divide positive and multiply other logits of ids seen before.

    Temperature is left to the softmax: being positive it keeps order and sign, and a division that comes
    after the maximum is subtracted overflows at no temperature.
    """
    if penalty == 1:
        return logits
    penalty = max(penalty, _SMALLEST_PENALTY)
    scores = logits.astype(np.float64)
    seen = np.unique(np.fromiter(history, dtype=np.int64))
    scores[seen] = np.where(scores[seen] > 0, scores[seen] / penalty, scores[seen] * penalty)
    return scores


def _top_k(scores: Floats, top_k: int) -> Ids:
    """Ids of the `top_k` largest scores, ascending; all of them where it is 0 or no limit."""
    excess = len(scores) - top_k
    if top_k <= 0 or excess <= 0:
        return np.arange(len(scores))
    threshold = np.partition(scores, excess)[excess]
    above = np.flatnonzero(scores > threshold)
    tied = np.flatnonzero(scores == threshold)[: top_k - len(above)]
    return np.sort(np.concatenate([above, tied]))


def _softmax_weights(scores: Floats, temperature: float) -> NDArray[np.float64]:
    """exp((score - max) / temperature): probabilities but for their sum; the largest is exactly 1."""
    weights = scores.astype(np.float64)
    weights -= weights.max()
    with np.errstate(over="ignore"):  # a tiny temperature sends the others to -inf, which is what it means
        weights /= temperature
    return np.exp(weights, out=weights)


def _top_p(ids: Ids, weights: NDArray[np.float64], top_p: float) -> tuple[Ids, NDArray[np.float64]]:
    """Keep the shortest prefix, by falling weight and rising id, whose sum reaches `top_p` of the whole.

    What is lighter than `floor` sums to less than the remainder beyond `top_p`, so the prefix ends before it:
    only the rest is sorted.
    """
    if top_p >= 1:
        return ids, weights
    total = float(weights.sum())
    floor = 0.5 * (1 - top_p) * total / len(weights)  # half: room for rounding
    candidates = np.flatnonzero(weights >= floor)
    order = candidates[np.argsort(-weights[candidates], kind="stable")]
    num_kept = int(np.searchsorted(np.cumsum(weights[order]), top_p * total)) + 1
    kept = np.sort(order[:num_kept])
    return ids[kept], weights[kept]


def _min_p(ids: Ids, weights: NDArray[np.float64], min_p: float) -> tuple[Ids, NDArray[np.float64]]:
    """Drop what is less likely than `min_p` times the likeliest, whose weight is 1."""
    if min_p <= 0:
        return ids, weights
    kept = weights >= min_p
    return ids[kept], weights[kept]


def _invert_cdf(weights: NDArray[np.float64], draw: float) -> int:
    """First index whose cumulative share exceeds `draw`; one of weight 0 never is."""
    cumulative = np.cumsum(weights)
    return int(np.searchsorted(cumulative, draw * cumulative[-1], side="right"))
