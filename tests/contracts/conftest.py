"""Every compute backend, with every tiny model. A new backend is one line in `BACKENDS`."""

from collections.abc import Iterator

import pytest

from backends.cuda.backend import CudaBackend
from backends.fake.backend import FakeBackend
from ports.compute_backend import Device
from ports.loaded_model import LoadedModel
from tests.contracts.backend_support import SHAPES, MakeBackend, load
from tests.models.memory_file import MemoryModelFile
from tests.models.tiny import tiny_model

BACKENDS = [
    pytest.param(FakeBackend, id="fake"),
    pytest.param(CudaBackend, id="cuda", marks=pytest.mark.gpu),
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
