"""What the device can do at most: reading its own memory, and copying from page-locked host memory."""

import statistics
import time
from collections.abc import Callable
from ctypes import c_int64
from dataclasses import dataclass
from importlib.resources import files

import numpy as np

from backends.cuda.compiler import Compiler, KernelSource
from backends.cuda.context import Context
from backends.cuda.kernel import Kernel, Launch, pointer
from backends.cuda.memory import DeviceMemory
from backends.cuda.stream import PinnedBuffer, Stream
from ports.memory import MemoryClass

READ = KernelSource("read.cu", "read_all<8>")

_BYTES = 4 * 2**30  # far more than any cache holds
_COPY_BYTES = 256 * 2**20
_NUM_THREADS = 256
_BLOCKS_PER_MULTIPROCESSOR = (4, 8, 16, 32)  # the best of these counts
_NUM_LAUNCHES, _NUM_REPEATS = 5, 5


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes per second."""

    read_bytes_per_s: float  # device memory
    copy_bytes_per_s: float  # host to device, page-locked


def measure_limits() -> Limits:
    """Measure device 0; needs 4 GiB of it.

    Raises:
        DeviceNotFound, InvalidDevice: it cannot be used.
        VramExhausted: it is not free.
        DeviceError: the driver failed.
    """
    context = Context.open(0)
    try:
        memory = DeviceMemory(context)
        d_words = memory.allocate(MemoryClass.SCRATCH, _BYTES).d_ptr
        stream = Stream()
        copy = _copy_bytes_per_s(stream, d_words)  # leaves random data to be read
        read = _read_bytes_per_s(context, memory, stream, d_words)
        return Limits(read_bytes_per_s=read, copy_bytes_per_s=copy)
    finally:
        context.close()


def _copy_bytes_per_s(stream: Stream, d_words: int) -> float:
    source = PinnedBuffer(_COPY_BYTES)
    source.array[:] = np.frombuffer(np.random.default_rng(1).bytes(_COPY_BYTES), np.uint8)

    def copy_all() -> None:
        for offset in range(0, _BYTES, _COPY_BYTES):
            stream.copy_to_device_async(d_words + offset, source.address, _COPY_BYTES)

    seconds = _median_s(stream, copy_all)
    source.close()
    return _BYTES / seconds


def _read_bytes_per_s(context: Context, memory: DeviceMemory, stream: Stream, d_words: int) -> float:
    d_sink = memory.allocate(MemoryClass.SCRATCH, 4).d_ptr
    compiler = Compiler(context.properties.arch, None, [files("bench.gpu")])
    kernel = Kernel(READ.name, compiler.compile([READ])[READ], context.properties)
    launches = [
        kernel.bind(
            context.properties.num_multiprocessors * num_blocks,
            _NUM_THREADS,
            (pointer(d_words), c_int64(_BYTES // 16), pointer(d_sink)),
        )
        for num_blocks in _BLOCKS_PER_MULTIPROCESSOR
    ]
    seconds = min(_median_s(stream, _repeated(launch, stream)) for launch in launches)
    return _NUM_LAUNCHES * _BYTES / seconds


def _repeated(launch: Launch, stream: Stream) -> Callable[[], None]:
    def enqueue() -> None:
        for _ in range(_NUM_LAUNCHES):
            launch.enqueue(stream)

    return enqueue


def _median_s(stream: Stream, enqueue: Callable[[], None]) -> float:
    """Of several runs after one; each takes milliseconds, so the host's clock will do."""
    seconds = []
    for _ in range(_NUM_REPEATS + 1):
        stream.synchronize()
        start_s = time.perf_counter()
        enqueue()
        stream.synchronize()
        seconds.append(time.perf_counter() - start_s)
    return statistics.median(seconds[1:])
