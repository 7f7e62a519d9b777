"""Log-probabilities of given tokens."""

import numpy as np
import pytest
from numpy.typing import NDArray

from backends.cuda.sampler import log_prob_call
from tests.kernels.gpu import Gpu

pytestmark = [pytest.mark.gpu, pytest.mark.req("M0-W-1430")]

Floats = NDArray[np.float32]

NUM_ROWS = 9


def log_probs(gpu: Gpu, logits: Floats, token_ids: NDArray[np.int64]) -> Floats:
    num_rows, vocab_size = logits.shape
    d_out = gpu.empty(4 * num_rows)
    call = log_prob_call(
        d_logits=gpu.upload(logits.astype(np.float32)),
        d_token_ids=gpu.upload(token_ids.astype(np.int32)),
        d_out=d_out,
        num_rows=num_rows,
        vocab_size=vocab_size,
    )
    gpu.launch(call.source.file, call.source.name, call.grid, call.num_threads, call.args)
    return gpu.download(d_out, num_rows, np.float32)


def exact_log_probs(logits: Floats, token_ids: NDArray[np.int64]) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    chosen = np.take_along_axis(shifted, token_ids[:, None], axis=1)[:, 0]
    return np.asarray(chosen - np.log(np.exp(shifted).sum(axis=1)))


@pytest.mark.parametrize("vocab_size", [1, 31, 1023, 1024, 1025, 32064, 151936, 201088])
@pytest.mark.parametrize("scale", [0.0, 1.0, 12.0])
def test_every_rows_log_probability_is_the_log_softmax(gpu: Gpu, vocab_size: int, scale: float) -> None:
    rng = np.random.default_rng(vocab_size)
    logits = (scale * rng.normal(0, 1, (NUM_ROWS, vocab_size))).astype(np.float32)
    token_ids = rng.integers(0, vocab_size, NUM_ROWS)
    expected = exact_log_probs(logits, token_ids)
    first = log_probs(gpu, logits, token_ids)

    # one rounding of the result to float32, and of each weight to a few parts in 10 million
    np.testing.assert_allclose(first, expected, rtol=1e-7, atol=1e-6)
    for _ in range(20):
        np.testing.assert_array_equal(first, log_probs(gpu, logits, token_ids))


def test_a_token_that_cannot_be_has_log_probability_minus_infinity(gpu: Gpu) -> None:
    logits = np.array([[0.0, -np.inf, 0.0]] * 2, np.float32)

    np.testing.assert_allclose([-np.inf, -np.log(2)], log_probs(gpu, logits, np.array([1, 2])), rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_row_that_is_not_finite_has_none_and_its_neighbours_have_theirs(gpu: Gpu, bad: float) -> None:
    logits = np.zeros((3, 700), np.float32)
    logits[1, 600] = bad
    values = log_probs(gpu, logits, np.array([5, 5, 5]))

    np.testing.assert_allclose([-np.log(700), np.nan, -np.log(700)], values, rtol=1e-6)
