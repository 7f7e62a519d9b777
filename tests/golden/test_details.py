"""That the toy models would notice: with one detail of the description changed, the oracle disagrees."""

import dataclasses
from collections.abc import Callable

import pytest

from adapters_outbound.gguf.opener import GgufModelFileOpener
from domain.architectures import describe
from ports.model_description import Attention, ModelDescription, Rope, RopePairing
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
    return attention(lambda it: dataclasses.replace(it, rope=change(it.rope)))


def swap_pairing(it: Rope) -> Rope:
    other = {
        RopePairing.ADJACENT: RopePairing.HALF_SPLIT,
        RopePairing.HALF_SPLIT: RopePairing.ADJACENT,
    }
    return dataclasses.replace(it, pairing=other[it.pairing])


CHANGES = {
    ("llama", "pairing"): rope(swap_pairing),
    ("llama", "frequency factors"): rope(lambda it: dataclasses.replace(it, frequency_factors=None)),
    ("qwen2", "pairing"): rope(swap_pairing),
    ("qwen3", "query norm"): attention(lambda it: dataclasses.replace(it, query_norm=None)),
    ("qwen3", "key norm"): attention(lambda it: dataclasses.replace(it, key_norm=None)),
    ("phi3", "pairing"): rope(swap_pairing),
    ("phi3", "window"): attention(lambda it: dataclasses.replace(it, window=None)),
    ("phi3", "window off by one"): attention(lambda it: dataclasses.replace(it, window=(it.window or 0) - 1)),
}


@pytest.mark.parametrize(("architecture", "detail"), CHANGES, ids=str)
def test_a_wrong_detail_shows(architecture: str, detail: str) -> None:
    file = GgufModelFileOpener().open(str(DIRECTORY / f"{architecture}.gguf"))
    changed = CHANGES[architecture, detail](describe(file))
    token_ids, expected = oracle(changed)

    assert nmse(computed(loaded(changed, file), token_ids, WHOLE), expected) > MIN_NMSE
    file.close()
