"""A step computed again: the same numbers, bit for bit. The part of M0-W-1031 that needs no GPU."""

from collections.abc import Iterator

import numpy as np
import pytest

from adapters_outbound.gguf.opener import GgufModelFileOpener
from domain.architectures import describe
from ports.model_file import ModelFile
from tests.golden.oracle import DIRECTORY, computed, loaded, oracle

pytestmark = pytest.mark.req("M0-W-1031", "M0-SYS-2.3.1")

TOYS = sorted(path.stem for path in DIRECTORY.glob("*.gguf"))


@pytest.fixture(params=TOYS)
def file(request: pytest.FixtureRequest) -> Iterator[ModelFile]:
    file = GgufModelFileOpener().open(str(DIRECTORY / f"{request.param}.gguf"))
    yield file
    file.close()


@pytest.mark.parametrize("chunk_tokens", [1, 16])
def test_logits_are_the_same_bit_for_bit_however_often_they_are_computed(
    file: ModelFile, chunk_tokens: int
) -> None:
    weights = loaded(describe(file), file)
    token_ids = oracle(weights.description)[0][:48]
    first = computed(weights, token_ids, chunk_tokens)

    for _ in range(5):
        computed(weights, token_ids[::-1], 7)  # other work between, which moves what is in memory where
        again = computed(weights, token_ids, chunk_tokens)
        assert first.tobytes() == again.tobytes()


def test_weights_loaded_again_are_the_same_bit_for_bit(file: ModelFile) -> None:
    first, again = (loaded(describe(file), file) for _ in range(2))

    assert first.embedding.tobytes() == again.embedding.tobytes()
    assert np.isfinite(first.embedding).all()
