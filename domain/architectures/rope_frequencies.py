"""How fast each pair of a head's elements turns. For every backend: the angles decide what a position is."""

import math

import numpy as np
from numpy.typing import NDArray

from ports.model_description import LinearScaling, Rope, Yarn


def rope_frequencies(rope: Rope) -> NDArray[np.float64]:
    """theta^(-2i / rotary_dim), scaled; not yet divided by the factors a file may have.

    Returns:
        [rotary_dim/2], radians per position.

    Source: Su et al. 2021, eq. 34 (arXiv:2104.09864).
    """
    frequencies: NDArray[np.float64] = rope.theta ** (-np.arange(0, rope.rotary_dim, 2) / rope.rotary_dim)
    match rope.scaling:
        case LinearScaling():
            return frequencies / rope.scaling.factor
        case Yarn():
            kept = _share_kept(rope, rope.scaling)
            return frequencies * (kept + (1 - kept) / rope.scaling.factor)
        case None:
            return frequencies


def _share_kept(rope: Rope, yarn: Yarn) -> NDArray[np.float64]:
    """[rotary_dim/2] 1 where a frequency stays, 0 where it is divided. Source: arXiv:2309.00071, eq. 18-20.

    The bounds are not rounded to whole indices, unlike in the paper's code: GPT-OSS was trained so.
    """
    low = max(_index_of(rope, yarn, turns=yarn.beta_fast), 0.0)
    high = min(_index_of(rope, yarn, turns=yarn.beta_slow), rope.rotary_dim - 1.0)
    ramp = (np.arange(rope.rotary_dim // 2) - low) / max(high - low, 1e-3)  # a step where both bounds meet
    kept: NDArray[np.float64] = 1 - np.clip(ramp, 0.0, 1.0)
    return kept


def _index_of(rope: Rope, yarn: Yarn, *, turns: float) -> float:
    """Of the pair, as a fraction, that turns so often within the original context."""
    wavelength = yarn.original_context_length / (turns * 2 * math.pi)
    return rope.rotary_dim * math.log(wavelength) / (2 * math.log(rope.theta))
