"""The stand-in's weights are the same bytes after use as before."""

import dataclasses
import hashlib
from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
import pytest

from backends.fake.backend import FakeBackend
from backends.fake.fault_injector import FaultInjector
from backends.fake.ledger import VramLedger
from backends.fake.model import FakeModel
from backends.fake.weight_loader import load_weights
from backends.fake.weights import Weights
from domain.architectures import describe
from tests.contracts.backend_support import HOT, PROMPT, ignore, plan_for, run
from tests.models.tiny import TinyShape, tiny_model


@pytest.mark.req("M0-W-1002")
@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3", "phi3", "gpt-oss"])
def test_jobs_and_scores_change_no_byte_of_the_weights(architecture: str) -> None:
    file = tiny_model(TinyShape(architecture, window=5 if architecture == "phi3" else None))
    weights = load_weights(describe(file), file, chunk_bytes=4096, on_progress=ignore)
    plan = plan_for(FakeBackend().open_device(0), file, chunk_tokens=3)
    model = FakeModel(weights, plan, ledger=VramLedger(2**30), memory=ExitStack(), faults=FaultInjector())
    before = digest(weights)
    for _ in range(2):
        run(model, PROMPT * 5, HOT, num_tokens=60)
        model.score(range(96))

    assert before == digest(weights)


def digest(weights: Weights) -> str:
    hashed = hashlib.sha256()
    num_bytes = 0
    for array in arrays_in(weights):
        hashed.update(array.tobytes())
        num_bytes += array.nbytes
    assert num_bytes > 100_000
    return hashed.hexdigest()


def arrays_in(value: object) -> Iterator["np.ndarray[tuple[int, ...], np.dtype[np.float32]]"]:
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, tuple):
        for each in value:
            yield from arrays_in(each)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from arrays_in(getattr(value, field.name))
