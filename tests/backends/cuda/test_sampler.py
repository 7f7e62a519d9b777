"""Sampling as the device does it: its arithmetic against the reference."""

import numpy as np
import pytest

from backends.cuda.sampler import (
    LARGEST_VOCAB_SIZE,
    Method,
    SampleArgs,
    initial_state,
    log_prob_call,
    sample_call,
)
from domain.errors import ModelLoadFailed
from ports.sampling import GREEDY, SamplingParams
from tests.backends.cuda.sampling_cases import random_cases
from tests.backends.cuda.sampling_edges import BAD_LOGITS, EDGES, Edge
from tests.backends.cuda.sampling_model import exp_weights, in_units, sample_as_device


@pytest.mark.req("M0-W-1421", "M0-W-1032")
@pytest.mark.parametrize(
    ("vocab_size", "num_cases"), [(1, 20), (96, 9000), (3001, 1000), (32064, 60), (151936, 8), (201088, 8)]
)
def test_the_devices_arithmetic_makes_the_references_choice(vocab_size: int, num_cases: int) -> None:
    for case in random_cases(vocab_size, vocab_size=vocab_size, num_cases=num_cases):
        chosen = sample_as_device(case.logits, case.seen(), case.method, case.state())

        assert case.expected() == chosen, case.params


@pytest.mark.req("M0-W-1421")
@pytest.mark.parametrize("edge", EDGES, ids=lambda edge: edge.name)
def test_at_its_edges_too(edge: Edge) -> None:
    for case in edge.cases():
        assert case.expected() == sample_as_device(case.logits, case.seen(), case.method, case.state())


@pytest.mark.req("M0-W-1421")
@pytest.mark.parametrize("bad", BAD_LOGITS, ids=str)
@pytest.mark.parametrize("params", [GREEDY, SamplingParams(seed=0), SamplingParams(seed=0, top_k=2)])
def test_logits_that_are_not_finite_choose_nothing(bad: list[float], params: SamplingParams) -> None:
    state = initial_state(params, token_id=0, position=0, num_steps=1)
    nothing_seen = np.zeros(len(bad), np.bool_)

    assert sample_as_device(np.array(bad, np.float32), nothing_seen, Method.of(params), state) is None


@pytest.mark.req("M0-W-1421")
@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.0])
def test_the_flattest_vocabulary_moves_no_token_by_more_than_a_billionth(temperature: float) -> None:
    """Of the draws' interval: so often do device and reference differ, and no oftener."""
    logits = np.random.default_rng(1).normal(0, 1, LARGEST_VOCAB_SIZE).astype(np.float32)
    state = initial_state(
        SamplingParams(seed=0, temperature=temperature), token_id=0, position=0, num_steps=1
    )
    ours = np.cumsum(in_units(exp_weights((logits - logits.max()) * np.float32(state.inverse_temperature))))
    exact = np.cumsum(np.exp((logits.astype(np.float64) - logits.max()) / temperature))

    assert 1e-8 > np.abs(ours / float(ours[-1]) - exact / exact[-1]).max()


@pytest.mark.req("M0-W-1421")
def test_weights_are_exponentials_and_none_exceeds_the_best_tokens() -> None:
    x = np.linspace(-30.999, 0, 1_000_001, dtype=np.float32)
    exact = np.exp(x.astype(np.float64))
    weights = exp_weights(x)

    assert 2**-23 > np.abs(weights / exact - 1).max()
    assert 1 == weights.max() == weights[-1]
    assert 0 == exp_weights(np.array([-31, -1e30, -np.inf], np.float32)).max()


@pytest.mark.req("M0-W-1421")
def test_the_sum_of_the_largest_weights_fits_64_bits() -> None:
    one = in_units(exp_weights(np.zeros(1, np.float32)))

    assert 2**45 == one[0]
    assert 2**63 == int(one[0]) * LARGEST_VOCAB_SIZE


@pytest.mark.req("M0-W-1032")
@pytest.mark.parametrize(
    ("params", "method"),
    [
        (SamplingParams(seed=0, temperature=0, top_k=5, top_p=0.5, min_p=0.1), Method.GREEDY),
        (SamplingParams(seed=0, temperature=1e-300, repetition_penalty=1.3), Method.PLAIN),
        (SamplingParams(seed=0, top_k=5), Method.FILTERED),
        (SamplingParams(seed=0, top_p=0.99), Method.FILTERED),
        (SamplingParams(seed=0, min_p=0.01), Method.FILTERED),
    ],
)
def test_a_sequence_takes_the_simplest_kernel_that_does_all_it_asks_for(
    params: SamplingParams, method: Method
) -> None:
    assert method is Method.of(params)


@pytest.mark.req("M0-W-1421")
def test_a_state_starts_at_the_prompts_last_token() -> None:
    state = initial_state(SamplingParams(seed=2**64 - 1), token_id=7, position=41, num_steps=100)

    assert (2**64 - 1, 7, 41, 0, 100, 0) == (
        state.seed, state.token, state.position, state.step, state.num_steps, state.failed
    )  # fmt: skip


@pytest.mark.req("M0-W-1421")
def test_only_blocks_that_wait_for_each_other_are_launched_together() -> None:
    calls = {
        method: sample_call(method, SampleArgs(vocab_size=10), num_multiprocessors=20) for method in Method
    }

    assert {Method.GREEDY: False, Method.PLAIN: True, Method.FILTERED: True} == {
        method: call.is_cooperative for method, call in calls.items()
    }
    assert {(20, 1)} == {call.grid for call in calls.values()}  # one a multiprocessor: all fit at once
    assert (64, 1) == sample_call(Method.PLAIN, SampleArgs(vocab_size=10), num_multiprocessors=132).grid


@pytest.mark.req("M0-W-1421", "M0-W-1431")
def test_a_vocabulary_that_cannot_be_ranked_is_refused() -> None:
    too_many = LARGEST_VOCAB_SIZE + 1

    with pytest.raises(ModelLoadFailed, match=str(too_many)):
        sample_call(Method.GREEDY, SampleArgs(vocab_size=too_many), num_multiprocessors=1)
    with pytest.raises(ModelLoadFailed, match=str(too_many)):
        log_prob_call(d_logits=0, d_token_ids=0, d_out=0, num_rows=1, vocab_size=too_many)
