"""The forward pass against an independent float64 implementation."""

import functools

import numpy as np
import pytest
from numpy.typing import NDArray

from backends.fake.forward import forward, logits
from backends.fake.kv_cache import KvCache
from backends.fake.score import score_tokens
from backends.fake.weight_loader import load_weights
from backends.fake.weights import Weights
from domain.architectures import describe
from ports.tensor_types import TensorType
from tests.backends.fake.reference import reference_logits
from tests.models.tiny import TinyShape, tiny_model

TOKEN_IDS = [5, 90, 3, 3, 41, 17, 60, 2, 88, 1, 30]
MAX_NMSE = 1e-6  # float32 against float64; a wrong formula is off by 1e-3 and more

SHAPES = {
    "llama": TinyShape("llama"),
    "llama tied": TinyShape("llama", is_tied=True),
    "llama without groups": TinyShape("llama", num_kv_heads=4),
    "llama one kv head": TinyShape("llama", num_kv_heads=1),
    "llama half turned, with factors": TinyShape("llama", rotary_dim=8, has_frequency_factors=True),
    "llama heads wider than hidden": TinyShape("llama", head_dim=24),
    "qwen2": TinyShape("qwen2"),
    "qwen2 tied": TinyShape("qwen2", is_tied=True),
    "qwen2 half turned": TinyShape("qwen2", rotary_dim=8, num_kv_heads=1),
    "qwen3": TinyShape("qwen3"),
    "qwen3 half turned": TinyShape("qwen3", rotary_dim=8, head_dim=24),
}


@functools.cache
def expected_logits(shape: TinyShape) -> NDArray[np.float64]:
    return reference_logits(tiny_model(shape), TOKEN_IDS)


def loaded(shape: TinyShape) -> Weights:
    file = tiny_model(shape)
    return load_weights(describe(file), file, chunk_bytes=1000, on_progress=lambda _done, _total: None)


def computed_logits(weights: Weights, chunk_tokens: int) -> NDArray[np.float32]:
    cache = KvCache(weights.description.layers)
    starts = range(0, len(TOKEN_IDS), chunk_tokens)
    pieces = [logits(weights, forward(weights, TOKEN_IDS[i : i + chunk_tokens], cache)) for i in starts]
    return np.concatenate(pieces)


def nmse(actual: NDArray[np.float32], expected: NDArray[np.float64]) -> float:
    return float(((actual.astype(np.float64) - expected) ** 2).sum() / (expected**2).sum())


@pytest.mark.req("M0-W-1214", "M0-W-1430")
@pytest.mark.parametrize("chunk_tokens", [1, 4, 64], ids=["token by token", "in chunks", "whole"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_logits_are_the_references(shape: TinyShape, chunk_tokens: int) -> None:
    error = nmse(computed_logits(loaded(shape), chunk_tokens), expected_logits(shape))

    assert error < MAX_NMSE


@pytest.mark.req("M0-W-1201", "M0-W-1435")
@pytest.mark.parametrize("tensor_type", list(TensorType), ids=lambda t: t.name)
def test_every_tensor_type_serves_every_role(tensor_type: TensorType) -> None:
    shape = TinyShape(
        "qwen2",
        matrix_type=tensor_type,
        embedding_type=tensor_type,
        hidden_size=256,
        num_heads=4,
        num_kv_heads=2,
        head_dim=64,
        intermediate_size=256,
        num_layers=1,
    )
    token_ids = TOKEN_IDS[:4]
    weights = loaded(shape)
    actual = logits(weights, forward(weights, token_ids, KvCache(weights.description.layers)))

    assert nmse(actual, reference_logits(tiny_model(shape), token_ids)) < MAX_NMSE


def test_scores_are_the_references_log_probabilities() -> None:
    rows = expected_logits(SHAPES["qwen2"])[:-1]
    log_probabilities = rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))
    expected = log_probabilities[np.arange(len(rows)), TOKEN_IDS[1:]]
    actual = score_tokens(loaded(SHAPES["qwen2"]), TOKEN_IDS, chunk_tokens=4)

    np.testing.assert_allclose(actual, expected, atol=1e-4)


def test_attention_split_into_blocks_of_queries_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.fake.attention._MAX_SCORES", 100)  # two or three queries at once

    assert nmse(computed_logits(loaded(SHAPES["llama"]), 64), expected_logits(SHAPES["llama"])) < MAX_NMSE


def test_scores_in_blocks_of_rows_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = loaded(SHAPES["llama"])
    expected = score_tokens(weights, TOKEN_IDS, chunk_tokens=64)
    monkeypatch.setattr("backends.fake.score._MAX_LOGITS", 200)  # two rows of logits at once

    np.testing.assert_allclose(score_tokens(weights, TOKEN_IDS, chunk_tokens=64), expected, atol=1e-5)


def test_a_cache_that_grows_keeps_what_it_holds() -> None:
    weights = loaded(SHAPES["llama"])
    token_ids = [i % 96 for i in range(120)]  # beyond the first capacity and its double
    whole = forward(weights, token_ids, KvCache(weights.description.layers))
    cache = KvCache(weights.description.layers)
    stepwise = np.concatenate([forward(weights, [token_id], cache) for token_id in token_ids])

    np.testing.assert_allclose(stepwise, whole, atol=1e-4)
