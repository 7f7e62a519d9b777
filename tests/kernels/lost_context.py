"""A program that loses its context, and tells how every call after that ends. Prints one line a call."""

from collections.abc import Callable
from pathlib import Path

from backends.cuda.compiler import Compiler, KernelSource
from backends.cuda.context import Context
from backends.cuda.graph import Graph
from backends.cuda.kernel import Kernel
from backends.cuda.memory import DeviceMemory
from backends.cuda.stream import Event, PinnedBuffer, Stream
from domain.errors import WorkerError
from ports.memory import MemoryClass
from tests.kernels.gpu import CACHE_DIR


def main() -> None:
    """Run a kernel that traps; try everything; close everything."""
    context = Context.open(0)
    memory, stream, event, pinned = DeviceMemory(context), Stream(), Event(), PinnedBuffer(4096)
    buffer = memory.allocate(MemoryClass.SCRATCH, 4096)
    source = KernelSource("driver.cu", "trap")
    compiler = Compiler(context.properties.arch, CACHE_DIR, [Path(__file__).parent])
    trap = Kernel(source.name, compiler.compile([source])[source], context.properties).bind(1, 1, [])
    graph = Graph.capture(stream, lambda: stream.memset_async(buffer.d_ptr, 0, 16))
    calls: dict[str, Callable[[], object]] = {
        "trap": lambda: trap.enqueue(stream),  # succeeds: what goes wrong while it runs comes later
        "synchronize": stream.synchronize,
        "launch": lambda: trap.enqueue(stream),
        "graph": lambda: graph.launch(stream),
        "allocate": lambda: memory.allocate(MemoryClass.SCRATCH, 4096),
        "copy": lambda: stream.copy_to_device_async(buffer.d_ptr, pinned.address, 16),
        "record": lambda: event.record(stream),
        "free_bytes": context.free_bytes,
        "residency": memory.check_residency,
        "close graph": graph.close,
        "close event": event.close,
        "close pinned": pinned.close,
        "close stream": stream.close,
        "close memory": memory.close,
        "close context": context.close,
        "close again": context.close,
    }
    for name, call in calls.items():
        print(f"{name}: {outcome_of(call)}")  # noqa: T201 # the test reads it


def outcome_of(call: Callable[[], object]) -> str:
    try:
        call()
    except WorkerError as error:
        return type(error).__name__
    return "done"


if __name__ == "__main__":
    main()
