"""Whole toy models on the device against `transformers`: a prompt whole, in chunks, and token by token."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from adapters_outbound.gguf.opener import GgufModelFileOpener
from ports.model_file import ModelFile
from tests.golden.oracle import DIRECTORY, oracle
from tests.kernels.device_logits import DeviceLogits, agree
from tests.kernels.gpu import Gpu

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.req(
        "M0-W-1006", "M0-W-1213", "M0-W-1214", "M0-W-1215", "M0-W-1420", "M0-W-1432", "M0-W-1433", "M0-W-1434"
    ),
]

TOYS = sorted(path.stem for path in DIRECTORY.glob("*.gguf"))


@pytest.fixture(params=TOYS)
def file(request: pytest.FixtureRequest) -> Iterator[ModelFile]:
    file = GgufModelFileOpener().open(str(DIRECTORY / f"{request.param}.gguf"))
    yield file
    file.close()


def in_chunks(gpu: Gpu, file: ModelFile, token_ids: list[int], chunk_tokens: int) -> NDArray[np.float32]:
    model = DeviceLogits(gpu, file)
    starts = range(0, len(token_ids), chunk_tokens)
    return np.concatenate([model.prefill(token_ids[i : i + chunk_tokens]) for i in starts])


def test_a_prompt_whole_and_in_chunks_of_any_size(gpu: Gpu, file: ModelFile) -> None:
    token_ids, expected = oracle(DeviceLogits(gpu, file).description)

    whole = in_chunks(gpu, file, token_ids, 512)

    agree(whole, expected)
    for chunk_tokens in (1, 13, 48, 64):
        np.testing.assert_array_equal(whole, in_chunks(gpu, file, token_ids, chunk_tokens), str(chunk_tokens))


def test_a_prompt_and_then_token_by_token(gpu: Gpu, file: ModelFile) -> None:
    model = DeviceLogits(gpu, file)
    token_ids, expected = oracle(model.description)

    prompt = model.prefill(token_ids[:5])
    answer = [model.decode(token_id) for token_id in token_ids[5:]]

    agree(np.concatenate([prompt, np.stack(answer)]), expected)
