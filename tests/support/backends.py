"""The compute backends by name, for tests that hold on every one of them."""

import pytest

from backends.cuda.backend import CudaBackend
from backends.fake.backend import FakeBackend
from ports.compute_backend import ComputeBackend

ON_GPU = pytest.param("cuda", marks=pytest.mark.gpu)
BACKENDS = ("fake", ON_GPU)

_PRETENDED_BYTES = 1 << 40  # of the stand-in: no limit


def make_backend(name: str) -> ComputeBackend:
    """The one that `--backend name` chooses."""
    return CudaBackend() if name == "cuda" else FakeBackend(_PRETENDED_BYTES)
