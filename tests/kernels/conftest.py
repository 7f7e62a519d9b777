"""The device that all kernel tests share. Without one they fail, never skip."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.cuda.compiler import Compiler, KernelSource
from backends.cuda.context import Context
from backends.cuda.kernel import Kernel
from backends.cuda.memory import DeviceMemory
from backends.cuda.stream import Stream
from tests.kernels.gpu import CACHE_DIR, Gpu


@pytest.fixture(scope="session")
def shared_context() -> Iterator[Context]:
    context = Context.open(0)
    yield context
    context.close()


@pytest.fixture
def context(shared_context: Context) -> Context:
    """The current one, whatever other tests have opened and closed since."""
    shared_context.enter()
    return shared_context


@pytest.fixture(scope="session")
def compiler(shared_context: Context) -> Compiler:
    """It finds the test's own kernels, beside this file, as well as the package's."""
    return Compiler(shared_context.properties.arch, CACHE_DIR, [Path(__file__).parent])


@pytest.fixture
def stream(context: Context) -> Iterator[Stream]:  # noqa: ARG001 # a stream is made in the current context
    stream = Stream()
    yield stream
    stream.close()


@pytest.fixture
def memory(context: Context) -> Iterator[DeviceMemory]:
    memory = DeviceMemory(context)
    yield memory
    memory.close()


@pytest.fixture(scope="session")
def kernels() -> dict[KernelSource, Kernel]:
    """Those loaded so far."""
    return {}


@pytest.fixture
def gpu(
    context: Context,
    compiler: Compiler,
    stream: Stream,
    memory: DeviceMemory,
    kernels: dict[KernelSource, Kernel],
) -> Gpu:
    return Gpu(context, compiler, stream, memory, kernels)
