"""Every compute backend, with every tiny model. A new backend is one line in `BACKENDS`."""

from collections.abc import Iterator

import pytest

from backends.cuda.backend import CudaBackend
from backends.fake.backend import FakeBackend
from ports.compute_backend import Device
from ports.loaded_model import LoadedModel
from tests.contracts.backend_support import MakeBackend, load
from tests.models.memory_file import MemoryModelFile
from tests.models.tiny import TinyShape, tiny_model

BACKENDS = [
    pytest.param(FakeBackend, id="fake"),
    pytest.param(CudaBackend, id="cuda", marks=pytest.mark.gpu),
]
SHAPES = [
    pytest.param(TinyShape("llama"), id="llama"),
    pytest.param(TinyShape("qwen2", is_tied=True), id="qwen2"),
    pytest.param(TinyShape("qwen3"), id="qwen3"),
    pytest.param(TinyShape("phi3", window=5), id="phi3"),
    pytest.param(TinyShape("gpt2", num_kv_heads=4, is_tied=True), id="gpt2"),
    pytest.param(TinyShape("gpt-oss"), id="gpt-oss"),
]


@pytest.fixture(params=BACKENDS)
def make_backend(request: pytest.FixtureRequest) -> MakeBackend:
    make: MakeBackend = request.param
    return make


@pytest.fixture
def device(make_backend: MakeBackend) -> Iterator[Device]:
    device = make_backend().open_device(0)
    yield device
    device.close()


@pytest.fixture(params=SHAPES)
def file(request: pytest.FixtureRequest) -> MemoryModelFile:
    return tiny_model(request.param)


@pytest.fixture
def model(device: Device, file: MemoryModelFile) -> LoadedModel:
    return load(device, file)
