"""Sampling written a second time, in plain Python and exact fractions where the rules are arithmetic.

It takes what `domain.sampling` takes and a draw, and shares no step with it: no arrays, no partition,
no deferred temperature.
"""

import math
from collections.abc import Sequence
from fractions import Fraction

from ports.sampling import SamplingParams


def naive_sample(logits: Sequence[float], history: Sequence[int], params: SamplingParams, draw: float) -> int:
    """The id that spec §17 and design §5 choose."""
    scores = [Fraction(z) for z in logits]
    if params.temperature > 0:
        scores = [z / Fraction(params.temperature) for z in scores]
    penalty = Fraction(max(params.repetition_penalty, 1e-3))
    for token_id in set(history):
        z = scores[token_id]
        scores[token_id] = z / penalty if z > 0 else z * penalty
    by_score = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    if params.temperature == 0:
        return by_score[0]
    kept = by_score[: params.top_k] if params.top_k > 0 else by_score
    highest = scores[kept[0]]
    shares = _normalised({i: math.exp(scores[i] - highest) for i in kept})
    if params.top_p < 1:
        shares = _normalised(_prefix(shares, params.top_p))
    if params.min_p > 0:
        bound = params.min_p * max(shares.values())
        shares = _normalised({i: share for i, share in shares.items() if share >= bound})
    return _walk(shares, draw)


def _normalised(shares: dict[int, float]) -> dict[int, float]:
    total = math.fsum(shares.values())
    return {i: share / total for i, share in shares.items()}


def _prefix(shares: dict[int, float], top_p: float) -> dict[int, float]:
    prefix: dict[int, float] = {}
    for i in sorted(shares, key=lambda i: (-shares[i], i)):
        prefix[i] = shares[i]
        if math.fsum(prefix.values()) >= top_p:
            break
    return prefix


def _walk(shares: dict[int, float], draw: float) -> int:
    cumulative = 0.0
    for i in sorted(shares):
        cumulative += shares[i]
        if cumulative > draw:
            return i
    return max(i for i, share in shares.items() if share > 0)
