"""Search the scale (and minimum) that quantizes a group of numbers with the least weighted error.

Letters: G = groups, N = elements of a group. All arrays are float32.
Source: the searches of ggml-quants.c, make_qkx2_quants and make_qx_quants.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Steps:
    """Trial scales: the group's range is cut into `max_level + start + i * width` levels, i in [0, count]."""

    start: float
    width: float
    count: int

    def offsets(self) -> list[float]:
        return [self.start + self.width * i for i in range(self.count + 1)]


def fit_scale_and_minimum(groups: Floats, *, max_level: int, steps: Steps) -> tuple[Floats, Floats]:
    """Fit `value = scale * level - minimum` with levels in [0, max_level].

    Errors weigh as the value's magnitude plus the group's root mean square: large weights matter more.

    Args:
        groups: [G, N].
        max_level: largest level.
        steps: the trial scales.

    Returns:
        (scale [G], minimum [G]), both >= 0.
    """
    weights = np.abs(groups) + np.sqrt(np.mean(groups * groups, axis=1, keepdims=True))
    low = np.minimum(groups.min(axis=1), 0)
    span = groups.max(axis=1) - low
    inverse_span = np.divide(1, span, out=np.zeros_like(span), where=span > 0)
    above_low = groups - low[:, None]

    scale, minimum = span / max_level, low.copy()
    error = _weighted_error(
        groups, _levels(above_low, max_level * inverse_span, max_level), weights, scale, low
    )
    for offset in steps.offsets():
        levels = _levels(above_low, (max_level + offset) * inverse_span, max_level)
        trial_scale, trial_minimum = _least_squares(groups, levels, weights)
        trial_error = _weighted_error(groups, levels, weights, trial_scale, trial_minimum)
        better = (trial_error < error) & (trial_scale > 0)
        scale = np.where(better, trial_scale, scale)
        minimum = np.where(better, trial_minimum, minimum)
        error = np.where(better, trial_error, error)
    return scale, 0 - minimum  # not -minimum: that writes the zero minima as -0


def fit_scale(groups: Floats, *, num_levels: int) -> Floats:
    """Fit `value = scale * level` with levels in [-num_levels/2, num_levels/2), errors weighed by value².

    Args:
        groups: [G, N].
        num_levels: even.

    Returns:
        [G] scale, of either sign: the longer, negative side of the levels serves the largest magnitude.
    """
    half = num_levels // 2
    peak = np.take_along_axis(groups, np.abs(groups).argmax(axis=1)[:, None], axis=1)[:, 0]
    inverse_peak = np.divide(1, peak, out=np.zeros_like(peak), where=peak != 0)
    weights = groups * groups
    scale, gain = np.zeros_like(peak), np.zeros_like(peak)
    for step in range(-9, 10):
        levels = np.rint(groups * (-(half + 0.1 * step) * inverse_peak)[:, None]).clip(-half, half - 1)
        weighted = weights * levels
        along = np.einsum("gn,gn->g", weighted, groups)
        square = np.einsum("gn,gn->g", weighted, levels)
        trial_scale = np.divide(along, square, out=np.zeros_like(along), where=square > 0)
        # The weighted error is sum(w x²) - along² / square, so the largest gain has the least error.
        better = trial_scale * along > gain
        gain = np.where(better, trial_scale * along, gain)
        scale = np.where(better, trial_scale, scale)
    return scale


def _levels(above_low: Floats, inverse_scale: Floats, max_level: int) -> Floats:
    levels: Floats = np.rint(above_low * inverse_scale[:, None].astype(np.float32)).clip(0, max_level)
    return levels


def _least_squares(groups: Floats, levels: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Best (scale, minimum <= 0) for fixed levels; scale 0 where the levels do not determine it."""
    weighted = weights * levels
    w, x = weights.sum(axis=1), np.einsum("gn,gn->g", weights, groups)
    lv = weighted.sum(axis=1)
    ll, lx = np.einsum("gn,gn->g", weighted, levels), np.einsum("gn,gn->g", weighted, groups)
    determinant = w * ll - lv * lv
    solvable = determinant > 0
    scale = np.divide(w * lx - x * lv, determinant, out=np.zeros_like(w), where=solvable)
    minimum = np.divide(ll * x - lv * lx, determinant, out=np.zeros_like(w), where=solvable)
    # The format can only subtract a minimum: where the best one is positive, the best is none.
    through_zero = np.divide(lx, ll, out=np.zeros_like(w), where=solvable & (ll > 0))
    return np.where(minimum > 0, through_zero, scale), np.minimum(minimum, 0)


def _weighted_error(
    groups: Floats, levels: Floats, weights: Floats, scale: Floats, minimum: Floats
) -> Floats:
    difference = scale[:, None] * levels + minimum[:, None] - groups
    error: Floats = np.einsum("gn,gn,gn->g", weights, difference, difference)
    return error
