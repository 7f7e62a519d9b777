"""The arithmetic of kernels/sample.cu in NumPy, operation for operation; none of its parallelism.

Letter: V = vocab_size.
"""

import numpy as np
from numpy.typing import NDArray

from backends.cuda.sampler import Method, SequenceState
from domain.sampling import uniform

Float32s = NDArray[np.float32]
Units = NDArray[np.uint64]  # weights in units of 2^-45

_LARGEST_FLOAT = np.float32(3.402823466e38)
_EXP_COEFFICIENTS = (1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)


def sample_as_device(
    logits: Float32s, seen: NDArray[np.bool_], method: Method, state: SequenceState
) -> int | None:
    """The id that the kernel chooses; None where it reports that the logits are not finite."""
    scores = penalised(logits, seen, state)
    best_id = int(scores.argmax())
    if not np.isfinite(scores[best_id]):
        return None
    if method is Method.GREEDY:
        return best_id
    with np.errstate(over="ignore"):  # -inf, which weighs nothing
        weights = exp_weights((scores - scores[best_id]) * np.float32(state.inverse_temperature))
    weights[~_top_k(scores, state.top_k)] = 0
    if state.top_p < 1:
        weights[~_top_p(weights, state.top_p)] = 0
    weights[weights < np.float64(state.min_p)] = 0
    cumulative = np.cumsum(in_units(weights))
    draw = int(uniform(state.seed, state.step) * 2**53)
    return int(np.searchsorted(cumulative, np.uint64(draw * int(cumulative[-1]) >> 53), side="right"))


def penalised(logits: Float32s, seen: NDArray[np.bool_], state: SequenceState) -> Float32s:
    scores = logits.copy()
    ids = np.flatnonzero(seen & np.isfinite(logits))
    if state.negative_factor == 1 or len(ids) == 0:
        return scores
    factors = np.where(logits[ids] > 0, state.positive_factor, state.negative_factor)
    with np.errstate(over="ignore"):
        products = (logits[ids].astype(np.float64) * factors).astype(np.float32)
    scores[ids] = np.clip(products, -_LARGEST_FLOAT, _LARGEST_FLOAT)
    return scores


def exp_weights(x: Float32s) -> Float32s:
    """[V] exp(x) for x <= 0, as the kernel computes it; below -31 nothing."""
    counted = x > -31
    x = np.where(counted, x, np.float32(0))
    n = np.rint(x * np.float32(1.44269504))
    r = _fma(n, 2.12194440e-4, _fma(n, -0.693359375, x))
    p = np.full_like(x, 1.9875691500e-4)
    for coefficient in _EXP_COEFFICIENTS:
        p = _fma(p, r, coefficient)
    exp_r = _fma(p, r * r, r) + np.float32(1)
    return np.where(counted, np.ldexp(exp_r, n.astype(np.int32)), np.float32(0))


def in_units(weights: Float32s) -> Units:
    return (weights * np.float32(2**45)).astype(np.uint64)


def _fma(a: Float32s, b: Float32s | float, c: Float32s | float) -> Float32s:
    """a * b + c rounded once: in float64 the product is exact, and the sum has 29 bits to spare."""
    product = a.astype(np.float64) * np.float64(np.float32(b))
    return (product + np.float64(np.float32(c))).astype(np.float32)


def _top_k(scores: Float32s, top_k: int) -> NDArray[np.bool_]:
    kept = np.ones(len(scores), np.bool_)
    if 0 < top_k < len(scores):
        kept[np.argsort(-scores, kind="stable")[top_k:]] = False
    return kept


def _top_p(weights: Float32s, top_p: float) -> NDArray[np.bool_]:
    """Keep the shortest prefix, by falling float32 weight and rising id, whose units reach the share."""
    kept = np.zeros(len(weights), np.bool_)
    order = np.argsort(-weights, kind="stable")
    cumulative = np.cumsum(in_units(weights[order]))
    total = int(cumulative[-1])
    target = min(max(int(np.ceil(top_p * np.float64(total))), 1), total)
    kept[order[: int(np.searchsorted(cumulative, np.uint64(target))) + 1]] = True
    return kept
