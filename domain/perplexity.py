"""Perplexity of a text under a model, measured as other tools measure it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from domain.errors import InvalidRequest
from ports.loaded_model import LoadedModel


@dataclass(frozen=True, slots=True)
class Perplexity:
    """exp of the mean negative log-likelihood, and what it rests on."""

    value: float
    standard_error: float
    num_tokens: int  # scored
    num_windows: int


def measure_perplexity(
    model: LoadedModel, token_ids: Sequence[int], *, window_tokens: int, bos_token_id: int | None
) -> Perplexity:
    """Score the second half of each non-overlapping window; the first half is context.

    What is left at the end, shorter than a window, does not count.
    Source: llama.cpp `tools/perplexity/perplexity.cpp`, so that the figures can be laid side by side.

    Args:
        model: scores.
        token_ids: [P] of the text, BOS first where the model's rule puts it there.
        window_tokens: N, 4 <= N <= the model's context.
        bos_token_id: put at the start of every window; None where the model's rule puts none.

    Raises:
        InvalidRequest: the text is shorter than one window, or the window too short.
        VramExhausted, DeviceError, DeviceLost: as `LoadedModel.score`.
    """
    if window_tokens < 4:
        raise InvalidRequest(f"a window of {window_tokens} tokens is too short; it takes 4")
    num_windows = len(token_ids) // window_tokens
    if num_windows == 0:
        raise InvalidRequest(f"the text has {len(token_ids)} tokens, a window takes {window_tokens}")
    losses = []
    for start in range(0, num_windows * window_tokens, window_tokens):
        window = list(token_ids[start : start + window_tokens])
        if bos_token_id is not None:
            window[0] = bos_token_id
        losses.append(-model.score(window)[window_tokens // 2 :].astype(np.float64))
    return _summarise(np.concatenate(losses), num_windows)


def _summarise(losses: np.ndarray[tuple[int], np.dtype[np.float64]], num_windows: int) -> Perplexity:
    value = math.exp(losses.mean())
    spread = losses.std() / math.sqrt(max(len(losses) - 1, 1))
    return Perplexity(value, float(value * spread), len(losses), num_windows)
