"""Activations against their formulas, at values a trained model would seldom reach."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from backends.fake.dense import Dense
from backends.fake.feed_forward import ExpertsWeights, GeluWeights, clamped_swiglu
from domain.architectures import describe
from ports.model_description import ClampedSwiGlu, Experts
from tests.models.tiny import TinyShape, tiny_model

IDENTITY = Dense(np.eye(9, dtype=np.float32))
VALUES = [-40.0, -7.5, -3.0, -0.5, 0.0, 0.5, 3.0, 7.5, 40.0]


def row(values: list[float]) -> NDArray[np.float32]:
    return np.array([values], dtype=np.float32)


@pytest.mark.req("M0-W-1433")
def test_gelu_is_the_tanh_approximation() -> None:
    def gelu(x: float) -> float:
        return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))

    np.testing.assert_allclose(
        GeluWeights(IDENTITY, IDENTITY)(row(VALUES)), row([gelu(x) for x in VALUES]), atol=1e-6
    )


@pytest.mark.req("M0-W-1433")
def test_clamped_swiglu_bounds_the_gate_from_above_and_up_from_both_sides() -> None:
    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    gates, ups = [100.0, 7.5, -9.0, 0.5], [0.5, -30.0, 30.0, -1.0]
    expected = [
        1.5 * 7 * sigmoid(1.702 * 7),
        -6 * 7 * sigmoid(1.702 * 7),
        8 * -9 * sigmoid(1.702 * -9),
        0.0,
    ]

    np.testing.assert_allclose(
        clamped_swiglu(row(gates + ups), ClampedSwiGlu(alpha=1.702, limit=7.0)), row(expected), rtol=1e-5
    )


@pytest.mark.req("M0-W-1215")
def test_of_experts_with_equal_scores_the_first_ones_take_equal_parts() -> None:
    shape = describe(tiny_model(TinyShape("gpt-oss"))).layers[0].feed_forward

    assert isinstance(shape, Experts)
    answers = [Dense(np.zeros((1, 1), dtype=np.float32), row([2.0**i])[0]) for i in range(4)]
    gate_up = Dense(np.zeros((2, 1), dtype=np.float32))
    router = Dense(np.zeros((4, 1), dtype=np.float32))
    layer = ExpertsWeights(shape, router, (gate_up,) * 4, tuple(answers))

    np.testing.assert_allclose(layer(row([3.0])), row([(1.0 + 2.0) / 2]))
