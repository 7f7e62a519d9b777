"""Perplexity: which tokens count, and what the figures are."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from domain.errors import InvalidRequest
from domain.perplexity import measure_perplexity
from tests.support.scripted_model import ScriptedModel


class TellingModel(ScriptedModel):
    """Scores a token by its id: log-probability -id/10. Remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.windows: list[list[int]] = []

    def score(self, token_ids: Sequence[int]) -> NDArray[np.float32]:
        self.windows.append(list(token_ids))
        return np.array([-token_id / 10 for token_id in token_ids[1:]], np.float32)


def test_the_second_half_of_each_whole_window_counts() -> None:
    result = measure_perplexity(TellingModel(), range(21), window_tokens=8, bos_token_id=None)
    losses = [token_id / 10 for token_id in (5, 6, 7, 13, 14, 15)]

    mean = sum(losses) / 6
    variance = sum(loss**2 for loss in losses) / 6 - mean**2

    assert (6, 2) == (result.num_tokens, result.num_windows)
    assert math.isclose(math.exp(mean), result.value, rel_tol=1e-6)
    assert math.isclose(math.exp(mean) * math.sqrt(variance / 5), result.standard_error, rel_tol=1e-6)


def test_every_window_starts_with_bos_where_the_model_wants_one() -> None:
    model = TellingModel()
    measure_perplexity(model, range(8), window_tokens=4, bos_token_id=99)

    assert [[99, 1, 2, 3], [99, 5, 6, 7]] == model.windows


@pytest.mark.parametrize(("num_tokens", "window_tokens"), [(7, 8), (0, 8), (100, 3)])
def test_a_text_shorter_than_a_window_is_refused(num_tokens: int, window_tokens: int) -> None:
    with pytest.raises(InvalidRequest):
        measure_perplexity(TellingModel(), range(num_tokens), window_tokens=window_tokens, bos_token_id=None)
