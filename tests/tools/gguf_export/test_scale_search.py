"""The searches, against trying everything."""

import numpy as np
from numpy.typing import NDArray

from tools.gguf_export.scale_search import Steps, fit_scale, fit_scale_and_minimum

Floats = NDArray[np.float32]

GROUPS: Floats = np.random.default_rng(5).standard_normal((200, 32), dtype=np.float32)


def symmetric_error(scale: Floats) -> Floats:
    """[G] squared error, weighed by value², of levels -32 to 31."""
    levels = np.rint(GROUPS / scale[:, None]).clip(-32, 31)
    error: Floats = np.sum(GROUPS**2 * (levels * scale[:, None] - GROUPS) ** 2, axis=1)
    return error


def shifted_error(scale: Floats, minimum: Floats) -> Floats:
    """[G] squared error, weighed by magnitude and root mean square, of levels 0 to 15."""
    levels = np.rint((GROUPS + minimum[:, None]) / scale[:, None]).clip(0, 15)
    weights = np.abs(GROUPS) + np.sqrt(np.mean(GROUPS**2, axis=1, keepdims=True))
    error: Floats = np.sum(weights * (levels * scale[:, None] - minimum[:, None] - GROUPS) ** 2, axis=1)
    return error


def test_a_scale_is_nearly_the_best_of_two_thousand() -> None:
    peak = GROUPS[np.arange(len(GROUPS)), np.abs(GROUPS).argmax(axis=1)]
    trials = np.linspace(28, 36, 1000, dtype=np.float32)

    best = np.min([symmetric_error(sign * peak / trial) for trial in trials for sign in (-1, 1)], axis=0)
    ours = symmetric_error(fit_scale(GROUPS, num_levels=64))

    assert ours.sum() < 1.15 * best.sum()


def test_a_scale_and_minimum_are_nearly_the_best_of_two_thousand() -> None:
    low, high = GROUPS.min(axis=1), GROUPS.max(axis=1)
    shrunk = np.linspace(0.8, 1.1, 45, dtype=np.float32)

    best = np.min(
        [shifted_error((high * up - low * down) / 15, -low * down) for up in shrunk for down in shrunk],
        axis=0,
    )
    scale, minimum = fit_scale_and_minimum(GROUPS, max_level=15, steps=Steps(-1.0, 0.1, 20))

    assert shifted_error(scale, minimum).sum() < 1.15 * best.sum()


def test_zeros_have_no_scale() -> None:
    zeros = np.zeros((1, 32), np.float32)

    assert 0 == fit_scale(zeros, num_levels=64)[0]
    assert (0, 0) == tuple(
        x[0] for x in fit_scale_and_minimum(zeros, max_level=15, steps=Steps(-1.0, 0.1, 20))
    )
