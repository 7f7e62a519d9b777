"""Layers of true width against the stand-in on the same file: a prompt, and token by token."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from adapters_outbound.gguf.opener import GgufModelFileOpener
from ports.model_file import ModelFile
from tests.golden.oracle import computed, loaded
from tests.kernels.device_logits import DeviceLogits, agree
from tests.kernels.gpu import Gpu
from tools.true_size.model_shape import MODELS, ModelShape
from tools.true_size.writer import write_true_size

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.long,
    pytest.mark.req("M0-W-1006", "M0-W-1213", "M0-W-1214", "M0-W-1215", "M0-W-1822"),
]

NUM_TOKENS, NUM_PROMPT_TOKENS = 160, 130  # beyond the window of GPT-OSS


def two_layers_of(shape: ModelShape) -> ModelShape:
    """Of true width, and few words, which the stand-in would be slow at.

    There are as many experts as each token takes: which of two equals a router takes is decided by rounding,
    and would drown every other difference.
    """
    num_experts = min(shape.num_experts, 4)
    return replace(shape, num_layers=2, vocab_size=4096, context_length=2048, num_experts=num_experts)


@pytest.fixture(params=MODELS)
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ModelFile]:
    path = tmp_path / "two-layers.gguf"
    write_true_size(path, two_layers_of(MODELS[request.param]))
    file = GgufModelFileOpener().open(str(path))
    yield file
    file.close()
    path.unlink()  # up to half a gigabyte


def test_two_layers_give_the_logits_of_the_stand_in(gpu: Gpu, file: ModelFile) -> None:
    model = DeviceLogits(gpu, file)
    token_ids = np.random.default_rng(7).integers(0, model.description.vocab_size, NUM_TOKENS).tolist()
    expected = computed(loaded(model.description, file), token_ids, NUM_TOKENS)

    prompt = model.prefill(token_ids[:NUM_PROMPT_TOKENS])
    answer = np.stack([model.decode(token_id) for token_id in token_ids[NUM_PROMPT_TOKENS:]])

    agree(prompt, expected[:NUM_PROMPT_TOKENS])
    agree(answer, expected[NUM_PROMPT_TOKENS:])
