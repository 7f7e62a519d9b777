"""The stand-in against `transformers`, on toy models with real tensor names.

The files beside this one are made by `python -m tools.oracle`.
"""

from collections.abc import Iterator

import pytest

from adapters_outbound.gguf.opener import GgufModelFileOpener
from domain.architectures import describe, supported_architectures
from ports.model_file import ModelFile
from tests.golden.oracle import DIRECTORY, WHOLE, computed, loaded, nmse, oracle

MAX_NMSE = 1e-6  # float32 against float32 in another order; a wrong formula is off by 1e-3 and more

pytestmark = pytest.mark.req("M0-W-1213", "M0-W-1214", "M0-W-1215")


TOYS = sorted(path.stem for path in DIRECTORY.glob("*.gguf"))
OTHER_NAMES = {"gpt", "gptoss"}


def test_every_architecture_has_an_oracle() -> None:
    assert set(supported_architectures()) == set(TOYS) | OTHER_NAMES


@pytest.fixture(params=TOYS)
def file(request: pytest.FixtureRequest) -> Iterator[ModelFile]:
    file = GgufModelFileOpener().open(str(DIRECTORY / f"{request.param}.gguf"))
    yield file
    file.close()


@pytest.mark.parametrize(
    "chunk_tokens", [1, 13, 48, WHOLE], ids=["token by token", "small chunks", "chunks", "whole"]
)
def test_logits_are_the_oracles(file: ModelFile, chunk_tokens: int) -> None:
    weights = loaded(describe(file), file)
    token_ids, expected = oracle(weights.description)
    actual = computed(weights, token_ids, chunk_tokens)

    assert nmse(actual, expected) < MAX_NMSE
    assert expected.argmax(axis=1).tolist() == actual.argmax(axis=1).tolist()


def test_attention_split_into_blocks_of_queries_is_the_same(
    file: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backends.fake.attention._MAX_SCORES", 7 * 4 * 160)  # seven queries at once
    weights = loaded(describe(file), file)
    token_ids, expected = oracle(weights.description)

    assert nmse(computed(weights, token_ids, WHOLE), expected) < MAX_NMSE
