"""The stand-in on a real file, written by the exporter and read by the strict reader."""

from pathlib import Path

import pytest

from adapters_outbound.gguf.opener import GgufModelFileOpener
from backends.fake.backend import FakeBackend
from domain.architectures import describe, supported_architectures
from ports.model_file import ModelFile
from ports.sampling import SamplingParams
from ports.tensor_types import TensorType
from tests.contracts.backend_support import HOT, PROMPT, ignore, plan_for, run
from tests.models.memory_file import MemoryModelFile
from tests.models.on_disk import write_model
from tests.models.tiny import TinyShape, tiny_model


def tokens_of(file: ModelFile, double: MemoryModelFile, sampling: SamplingParams) -> list[int]:
    device = FakeBackend().open_device(0)
    plan = plan_for(device, double)
    model = device.load_model(describe(file), file, plan, chunk_bytes=10_000, on_progress=ignore)
    return run(model, PROMPT, sampling, num_tokens=20)


@pytest.mark.parametrize("architecture", supported_architectures())
def test_a_file_on_disk_gives_the_tokens_of_its_double(tmp_path: Path, architecture: str) -> None:
    double = tiny_model(TinyShape(architecture, matrix_type=TensorType.Q8_0, is_tied=True))
    write_model(tmp_path / "tiny.gguf", double)
    file = GgufModelFileOpener().open(str(tmp_path / "tiny.gguf"))

    assert tokens_of(double, double, HOT) == tokens_of(file, double, HOT)
    file.close()
