"""That the toy models would notice: with one detail of the description changed, the oracle disagrees."""

import dataclasses
from collections.abc import Callable

import pytest

from adapters_outbound.gguf.opener import GgufModelFileOpener
from domain.architectures import describe
from ports.model_description import Attention, Experts, ModelDescription, Rope, RopePairing, Yarn
from tests.golden.oracle import DIRECTORY, WHOLE, computed, loaded, nmse, oracle

MIN_NMSE = 1e-4  # a hundred times what passes

Change = Callable[[ModelDescription], ModelDescription]


def attention(change: Callable[[Attention], Attention]) -> Change:
    """Change the attention of every layer."""

    def changed(model: ModelDescription) -> ModelDescription:
        layers = [dataclasses.replace(layer, attention=change(layer.attention)) for layer in model.layers]
        return dataclasses.replace(model, layers=tuple(layers))

    return changed


def rope(change: Callable[[Rope], Rope]) -> Change:
    """Change the rope of every layer."""

    def changed(it: Attention) -> Attention:
        assert it.rope is not None
        return dataclasses.replace(it, rope=change(it.rope))

    return attention(changed)


def experts(change: Callable[[Experts], Experts]) -> Change:
    """Change the experts of every layer."""

    def changed(model: ModelDescription) -> ModelDescription:
        layers = []
        for layer in model.layers:
            assert isinstance(layer.feed_forward, Experts)
            layers.append(dataclasses.replace(layer, feed_forward=change(layer.feed_forward)))
        return dataclasses.replace(model, layers=tuple(layers))

    return changed


def yarn(change: Callable[[Yarn], Yarn]) -> Change:
    """Change the scaling of every layer's rope."""

    def changed(it: Rope) -> Rope:
        assert isinstance(it.scaling, Yarn)
        return dataclasses.replace(it, scaling=change(it.scaling))

    return rope(changed)


def activated(**changes: float) -> Change:
    """Change the activation of every layer's experts."""
    return experts(
        lambda it: dataclasses.replace(it, activation=dataclasses.replace(it.activation, **changes))
    )


def swap_pairing(it: Rope) -> Rope:
    other = {
        RopePairing.ADJACENT: RopePairing.HALF_SPLIT,
        RopePairing.HALF_SPLIT: RopePairing.ADJACENT,
    }
    return dataclasses.replace(it, pairing=other[it.pairing])


CHANGES: dict[tuple[str, str], Change] = {
    ("llama", "pairing"): rope(swap_pairing),
    ("llama", "frequency factors"): rope(lambda it: dataclasses.replace(it, frequency_factors=None)),
    ("qwen2", "pairing"): rope(swap_pairing),
    ("qwen2", "linear scaling"): rope(lambda it: dataclasses.replace(it, scaling=None)),
    ("qwen3", "query norm"): attention(lambda it: dataclasses.replace(it, query_norm=None)),
    ("qwen3", "key norm"): attention(lambda it: dataclasses.replace(it, key_norm=None)),
    ("phi3", "pairing"): rope(swap_pairing),
    ("phi3", "window"): attention(lambda it: dataclasses.replace(it, window=None)),
    ("gpt2", "positions"): lambda it: dataclasses.replace(it, position_embedding=None),
    ("phi3", "window off by one"): attention(lambda it: dataclasses.replace(it, window=(it.window or 0) - 1)),
    ("gpt-oss", "pairing"): rope(swap_pairing),
    ("gpt-oss", "sinks"): attention(lambda it: dataclasses.replace(it, sinks=None)),
    ("gpt-oss", "window"): attention(lambda it: dataclasses.replace(it, window=None)),
    ("gpt-oss", "no window on odd layers"): attention(lambda it: dataclasses.replace(it, window=24)),
    ("gpt-oss", "yarn"): rope(lambda it: dataclasses.replace(it, scaling=None)),
    ("gpt-oss", "yarn's factor"): yarn(lambda it: dataclasses.replace(it, factor=16.0)),
    ("gpt-oss", "yarn's magnitude"): yarn(lambda it: dataclasses.replace(it, attention_factor=1.0)),
    ("gpt-oss", "yarn's slow bound"): yarn(lambda it: dataclasses.replace(it, beta_slow=1.5)),
    ("gpt-oss", "active experts"): experts(lambda it: dataclasses.replace(it, num_active=3)),
    ("gpt-oss", "limit"): activated(limit=100.0),
    ("gpt-oss", "alpha"): activated(alpha=1.0),
}


@pytest.mark.parametrize(("architecture", "detail"), CHANGES, ids=str)
def test_a_wrong_detail_shows(architecture: str, detail: str) -> None:
    file = GgufModelFileOpener().open(str(DIRECTORY / f"{architecture}.gguf"))
    changed = CHANGES[architecture, detail](describe(file))
    token_ids, expected = oracle(changed)

    assert nmse(computed(loaded(changed, file), token_ids, WHOLE), expected) > MIN_NMSE
    file.close()
