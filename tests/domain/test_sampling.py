"""Sampling against a naive second implementation, at its edges, and as a distribution."""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from domain.errors import DeviceError
from domain.sampling import sample, uniform
from ports.sampling import GREEDY, SamplingParams
from tests.domain.naive_sampling import naive_sample

pytestmark = pytest.mark.req("M0-W-1421")

MASK_64 = 2**64 - 1
ROUNDING = 1e-11  # two float64 orders of summation may disagree about a cut-off by no more than this


def logits_of(*values: float) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32)


def draw_all(logits: NDArray[np.float32], params: SamplingParams, num_draws: int = 300) -> set[int]:
    return {sample(logits, [], params, step) for step in range(num_draws)}


quarters = st.integers(-12, 12).map(lambda n: n / 4)  # few values, so that ties are common
fine = st.integers(-20_480, 20_480).map(lambda n: n / 1024)  # apart by more than exp rounds away
params_strategy = st.builds(
    SamplingParams,
    seed=st.integers(0, MASK_64),
    temperature=st.one_of(st.just(0.0), st.just(1.0), st.floats(0.05, 2.0)),
    top_p=st.one_of(st.just(1.0), st.just(0.0), st.floats(0.0, 1.0)),
    top_k=st.integers(0, 50),
    min_p=st.one_of(st.just(0.0), st.just(1.0), st.floats(0.0, 1.0)),
    repetition_penalty=st.integers(0, 128).map(lambda n: n / 64),  # no two scores closer than rounding
)


@settings(max_examples=500)
@given(data=st.data(), params=params_strategy, step=st.integers(0, 10_000))
def test_every_choice_is_the_naive_implementations(
    data: st.DataObject, params: SamplingParams, step: int
) -> None:
    values = data.draw(st.lists(st.one_of(quarters, fine), min_size=1, max_size=40))
    history = data.draw(st.lists(st.integers(0, len(values) - 1), max_size=60))
    actual = sample(logits_of(*values), history, params, step)

    assert any(
        actual == naive_sample(values, history, nudged, uniform(params.seed, step) + turn)
        for nudged, turn in within_rounding(params)
    )


def within_rounding(params: SamplingParams) -> Iterator[tuple[SamplingParams, float]]:
    """The parameters themselves first, then each cut-off and the draw moved by what rounding may do."""
    for p, m, turn in itertools.product((0, -ROUNDING, ROUNDING), repeat=3):
        yield dataclasses.replace(params, top_p=params.top_p + p, min_p=min(params.min_p + m, 1.0)), turn


@pytest.mark.req("M0-W-1032")
def test_temperature_zero_is_the_largest_logit_and_the_lowest_id_on_a_tie() -> None:
    assert 1 == sample(logits_of(-1, 5, 5, 2), [], GREEDY, 0)


def test_a_greedy_choice_ignores_filters_seed_and_step() -> None:
    params = SamplingParams(seed=9, temperature=0, top_k=1, top_p=0.1, min_p=0.9)

    assert {2} == draw_all(logits_of(0, 1, 3, 2), params, 10)


def test_a_greedy_choice_obeys_the_repetition_penalty() -> None:
    params = SamplingParams(seed=0, temperature=0, repetition_penalty=2)

    assert 1 == sample(logits_of(3, 2, 1), [0, 0, 0], params, 0)


def test_the_penalty_lowers_a_negative_logit_too() -> None:
    params = SamplingParams(seed=0, temperature=0, repetition_penalty=1.5)

    assert 1 == sample(logits_of(-1, -1.2), [0], params, 0)


def test_a_token_seen_many_times_is_penalised_once() -> None:
    params = SamplingParams(seed=0, temperature=0, repetition_penalty=1.5)

    assert 0 == sample(logits_of(3, 1.9), [0] * 10, params, 0)


def test_a_penalty_of_zero_favours_what_was_seen_without_making_infinities() -> None:
    params = SamplingParams(seed=0, temperature=0, repetition_penalty=0)

    assert 1 == sample(logits_of(5, 1, 0), [1, 2], params, 0)


def test_top_k_keeps_the_lower_ids_of_a_tie() -> None:
    assert {0, 1, 3} == draw_all(logits_of(1, 2, 1, 2, 1, 1), SamplingParams(seed=1, top_k=3))


def test_a_top_k_beyond_the_vocabulary_keeps_all() -> None:
    assert {0, 1, 2} == draw_all(logits_of(1, 1, 1), SamplingParams(seed=1, top_k=999))


def test_top_p_takes_the_shortest_prefix_that_reaches_it() -> None:
    assert {0, 1} == draw_all(logits_of(1, 1, 1, 1), SamplingParams(seed=1, top_p=0.5))
    assert {0, 1, 2} == draw_all(logits_of(1, 1, 1, 1), SamplingParams(seed=1, top_p=0.51))


def test_logits_too_close_for_their_probabilities_to_differ_are_a_tie_in_top_p() -> None:
    assert {0} == draw_all(logits_of(0, 1e-35), SamplingParams(seed=1, top_p=0.0))


def test_min_p_counts_from_the_likeliest() -> None:
    logits = np.log(np.array([0.5, 0.3, 0.15, 0.05], dtype=np.float32))

    assert {0, 1, 2} == draw_all(logits, SamplingParams(seed=1, min_p=0.25))


@pytest.mark.parametrize(
    "filters",
    [{"top_k": 1}, {"top_p": 0.0}, {"min_p": 1.0}, {"top_k": 1, "top_p": 0.0, "min_p": 1.0}],
    ids=["k=1", "p=0", "m=1", "all"],
)
def test_the_strictest_filter_leaves_the_best_token(filters: dict[str, float]) -> None:
    params = SamplingParams(seed=3, temperature=2.0, **filters)  # type: ignore[arg-type]  # top_k is an int

    assert {1} == draw_all(logits_of(0, 0.5, 0.25), params)


def test_a_vocabulary_of_one_has_one_answer() -> None:
    assert {0} == draw_all(logits_of(-3), SamplingParams(seed=3, top_k=5, top_p=0.3, min_p=0.3))


@pytest.mark.parametrize(("draw", "expected"), [(0.0, 1), (0.25, 2), (0.5, 3), (0.75, 4), (1 - 2**-53, 4)])
def test_a_draw_on_the_edge_goes_to_the_next_id_that_can_be_chosen(
    monkeypatch: pytest.MonkeyPatch, draw: float, expected: int
) -> None:
    monkeypatch.setattr("domain.sampling.uniform", lambda _seed, _step: draw)

    assert expected == sample(logits_of(-np.inf, 1, 1, 1, 1, -np.inf), [], SamplingParams(seed=0), 0)


def test_an_id_of_minus_infinity_is_never_chosen() -> None:
    assert {1, 2} == draw_all(logits_of(-np.inf, 0, 0, -np.inf), SamplingParams(seed=3))


@pytest.mark.parametrize("temperature", [5e-324, 1e-300, 1e-9])
def test_the_smallest_temperatures_are_greedy_and_do_not_overflow(temperature: float) -> None:
    assert {1} == draw_all(logits_of(-3e38, 3e38, 0), SamplingParams(seed=3, temperature=temperature))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_one_bad_logit_is_a_device_error(bad: float, temperature: float) -> None:
    with pytest.raises(DeviceError, match="id 2"):
        sample(logits_of(1, 2, bad, 3), [], SamplingParams(seed=0, temperature=temperature), 0)


def test_logits_that_exclude_every_token_are_a_device_error() -> None:
    with pytest.raises(DeviceError):
        sample(logits_of(-np.inf, -np.inf), [], SamplingParams(seed=0), 0)


def test_the_logits_are_left_as_they_were() -> None:
    logits = logits_of(1, 2, 3)
    sample(logits, [1], SamplingParams(seed=0, temperature=0.5, top_p=0.5, repetition_penalty=1.3), 0)

    assert [1, 2, 3] == logits.tolist()


@pytest.mark.parametrize(
    ("params", "kept", "critical"),
    [
        # the chi-square that one seed in a thousand exceeds, for one degree of freedom less than ids are kept
        pytest.param(SamplingParams(seed=20260, temperature=0.8), range(8), 24.32, id="softmax"),
        # k leaves ids 1, 2, 4, 5, 7; p drops 7, the last of them; m drops 4, with 0.15 of the likeliest
        pytest.param(
            SamplingParams(seed=20261, temperature=0.8, top_k=5, top_p=0.9, min_p=0.2),
            [1, 2, 5],
            13.82,
            id="softmax of what the filters leave",
        ),
    ],
)
def test_a_hundred_thousand_draws_follow_the_distribution(
    params: SamplingParams, kept: Sequence[int], critical: float
) -> None:
    logits = logits_of(0, 1, 2, -1, 0.5, 1.5, -2, 0.25)
    weights = np.exp(logits[list(kept)].astype(np.float64) / 0.8)
    expected = weights / weights.sum() * 100_000
    counts = Counter(sample(logits, [], params, step) for step in range(100_000))

    assert set(kept) == set(counts)
    assert sum((counts[i] - e) ** 2 / e for i, e in zip(kept, expected.tolist(), strict=True)) < critical


@pytest.mark.req("M0-W-1030")
def test_a_draw_depends_on_seed_and_step_alone() -> None:
    first = [uniform(seed, step) for seed in (0, 1, MASK_64) for step in range(50)]
    again = [uniform(seed, step) for seed in (0, 1, MASK_64) for step in reversed(range(50))]

    assert set(first) == set(again)
    assert 150 == len(set(first))


@pytest.mark.parametrize("seed", [0, 1, 0xDEADBEEF, 2**63, MASK_64])
@pytest.mark.parametrize("step", [0, 1, 2047])
def test_the_draw_is_philox_as_published(seed: int, step: int) -> None:
    assert (philox4x64_first_word(step + 1, seed) >> 11) / 2**53 == uniform(seed, step)


def philox4x64_first_word(counter: int, key: int) -> int:
    """Philox4x64-10, counter (counter, 0, 0, 0), key (key, 0). Source: Salmon et al. 2011, §3.3."""
    x, k = [counter, 0, 0, 0], [key, 0]
    for _ in range(10):
        low, high = 0xD2E7470EE14C6C93 * x[0], 0xCA5A826395121157 * x[2]
        x = [high >> 64 ^ x[1] ^ k[0], high & MASK_64, low >> 64 ^ x[3] ^ k[1], low & MASK_64]
        k = [(k[0] + 0x9E3779B97F4A7C15) & MASK_64, (k[1] + 0xBB67AE8584CAA73B) & MASK_64]
    return x[0]
