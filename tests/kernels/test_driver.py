"""The driver layer on a device: context, copies, events, launches, graphs."""

from collections.abc import Iterator
from ctypes import Structure, c_float, c_int32, c_int64
from pathlib import Path

import numpy as np
import pytest

from backends.cuda.bindings import driver
from backends.cuda.compiler import Compiler, KernelSource
from backends.cuda.context import Context
from backends.cuda.graph import Graph
from backends.cuda.kernel import Kernel, pointer
from backends.cuda.properties import device_count
from backends.cuda.stream import Event, PinnedBuffer, Stream
from domain.errors import InvalidDevice, KernelLaunchFailed
from tests.kernels.gpu import Gpu

pytestmark = pytest.mark.gpu

FILE = "driver.cu"
MALLOC_HEAP_DEFAULT_BYTES = 8 * 2**20
LONG_WAIT_CYCLES = 200_000_000  # some 0.1 s


class Line(Structure):
    _fields_ = (("slope", c_float), ("offset", c_float), ("stride", c_int64))


@pytest.fixture
def pinned() -> Iterator[PinnedBuffer]:
    buffer = PinnedBuffer(1 << 20)
    yield buffer
    buffer.close()


@pytest.fixture
def event() -> Iterator[Event]:
    event = Event()
    yield event
    event.close()


@pytest.mark.req("M0-W-1010")
def test_the_settings_of_the_context_are_read_back(context: Context) -> None:
    settings = context.settings

    assert settings.prefers_l1
    assert settings.waits_asleep
    assert settings.malloc_heap_bytes < MALLOC_HEAP_DEFAULT_BYTES


@pytest.mark.req("M0-W-1400")
def test_the_device_describes_itself(context: Context) -> None:
    properties = context.properties

    assert properties.name.startswith("NVIDIA")
    assert 0 < context.free_bytes() < properties.total_bytes
    assert properties.num_multiprocessors > 0
    assert properties.max_shared_bytes > 48 * 1024


@pytest.mark.req("M0-W-1501")
def test_an_index_without_a_device_is_refused(context: Context) -> None:
    with pytest.raises(InvalidDevice, match=f"the driver lists {device_count()}"):
        Context.open(device_count())
    with pytest.raises(InvalidDevice):
        Context.open(-1)

    assert context.free_bytes() > 0


def test_bytes_go_up_and_down(gpu: Gpu, pinned: PinnedBuffer) -> None:
    random = np.random.default_rng(1).integers(0, 256, pinned.size_bytes, np.uint8)
    d_bytes = gpu.empty(pinned.size_bytes)
    pinned.array[:] = random
    gpu.stream.copy_to_device_async(d_bytes, pinned.address, pinned.size_bytes)
    gpu.stream.memset_async(d_bytes, 7, 100)
    gpu.stream.synchronize()
    pinned.array[:] = 0
    gpu.stream.copy_to_host_async(pinned.address, d_bytes, pinned.size_bytes)
    gpu.stream.synchronize()

    assert [7] * 100 == pinned.array[:100].tolist()
    assert np.array_equal(random[100:], pinned.array[100:])


def test_memory_is_handed_out_poisoned(gpu: Gpu) -> None:
    d_values = gpu.empty(1000)

    assert np.isnan(gpu.download(d_values, 250, np.float32)).all()
    assert np.isnan(gpu.download(d_values, 500, np.float16)).all()


def test_an_event_is_done_when_what_came_before_it_is(gpu: Gpu, event: Event) -> None:
    waiting = gpu.kernel(FILE, "wait_cycles").bind(1, 1, [c_int64(LONG_WAIT_CYCLES)])
    waiting.enqueue(gpu.stream)
    event.record(gpu.stream)

    assert (driver.CUresult.CUDA_ERROR_NOT_READY,) == driver.cuEventQuery(event.handle)
    event.wait()
    assert (driver.CUresult.CUDA_SUCCESS,) == driver.cuEventQuery(event.handle)


def test_a_stream_waits_for_an_event_of_another(gpu: Gpu, event: Event) -> None:
    d_counter = gpu.upload(np.zeros(1, np.int32))
    waiting = gpu.kernel(FILE, "wait_cycles").bind(1, 1, [c_int64(LONG_WAIT_CYCLES)])
    increment = gpu.kernel(FILE, "increment").bind(1, 1, [pointer(d_counter)])
    second, result = Stream(), np.zeros(1, np.int32)
    waiting.enqueue(gpu.stream)
    increment.enqueue(gpu.stream)
    event.record(gpu.stream)
    second.wait_for(event)
    second.copy_to_host_async(result.ctypes.data, d_counter, result.nbytes)
    second.synchronize()
    second.close()

    assert 1 == result[0]


def test_scalars_pointers_and_structures_arrive(gpu: Gpu) -> None:
    x = np.arange(200, dtype=np.float32)
    d_x, d_y = gpu.upload(x), gpu.empty(100 * 4)
    gpu.launch(FILE, "line<3>", 1, 128, [pointer(d_x), pointer(d_y), Line(2.0, 0.5, 2), c_int32(99)])
    y = gpu.download(d_y, 100, np.float32)

    assert (3 * (2 * x[:198:2] + 0.5)).tolist() == y[:99].tolist()
    assert np.isnan(y[99])


def test_an_argument_changed_between_launches_is_taken(gpu: Gpu) -> None:
    d_x, d_y = gpu.upload(np.ones(1, np.float32)), gpu.empty(4)
    launch = gpu.kernel(FILE, "line<1>").bind(
        1, 1, [pointer(d_x), pointer(d_y), Line(5.0, 0.0, 1), c_int32(1)]
    )
    launch.enqueue(gpu.stream)
    launch.args[2].slope = 7.0
    launch.enqueue(gpu.stream)

    assert [7.0] == gpu.download(d_y, 1, np.float32).tolist()


@pytest.mark.parametrize("shared_bytes", [4096, 48 * 1024 + 16, None])
def test_a_block_gets_the_shared_memory_it_asks_for(gpu: Gpu, shared_bytes: int | None) -> None:
    shared_bytes = shared_bytes or gpu.context.properties.max_shared_bytes
    x = np.arange(1024, dtype=np.float32)
    d_x, d_y = gpu.upload(x), gpu.empty(x.nbytes)
    args = [pointer(d_x), pointer(d_y), c_int32(1024), c_int32(shared_bytes - 1)]
    gpu.launch(FILE, "reverse", 1, 1024, args, shared_bytes=shared_bytes)

    assert x[::-1].tolist() == gpu.download(d_y, 1024, np.float32).tolist()


def test_a_cooperative_launch_runs_all_its_blocks_at_once(gpu: Gpu) -> None:
    num_blocks = gpu.context.properties.num_multiprocessors
    d_arrived = gpu.upload(np.zeros(1, np.int32))
    gpu.launch(FILE, "meet", num_blocks, 32, [pointer(d_arrived)], cooperative=True)

    assert [num_blocks] == gpu.download(d_arrived, 1, np.int32).tolist()


@pytest.mark.req("M0-W-1431")
@pytest.mark.parametrize(
    ("grid", "block", "reason"),
    [
        (0, 32, "grid"),
        ((1, 65536), 32, "grid"),
        (1, 0, "block"),
        (1, (64, 32), "block"),
        (2**31, 1, "grid"),
    ],
)
def test_impossible_geometry_is_refused_with_the_kernels_name(
    gpu: Gpu, grid: int | tuple[int, ...], block: int | tuple[int, ...], reason: str
) -> None:
    with pytest.raises(KernelLaunchFailed, match=f"kernel increment could not be launched: {reason}"):
        gpu.kernel(FILE, "increment").bind(grid, block, [pointer(0)])


@pytest.mark.req("M0-W-1431")
def test_more_shared_memory_than_there_is_is_refused(gpu: Gpu) -> None:
    too_much = gpu.context.properties.max_shared_bytes + 1
    with pytest.raises(KernelLaunchFailed, match=f"kernel increment .* {too_much} bytes of shared memory"):
        gpu.kernel(FILE, "increment").bind(1, 1, [pointer(0)], shared_bytes=too_much)


@pytest.mark.req("M0-W-1431")
def test_arguments_that_are_not_the_kernels_are_refused(gpu: Gpu) -> None:
    kernel = gpu.kernel(FILE, "line<1>")
    with pytest.raises(KernelLaunchFailed, match=r"arguments of \[8, 8\] bytes; it takes \[8, 8, 16, 4\]"):
        kernel.bind(1, 1, [pointer(0), pointer(0)])


@pytest.mark.req("M0-W-1501")
def test_what_the_driver_refuses_is_a_failed_launch_of_that_kernel(gpu: Gpu) -> None:
    num_blocks = 10_000  # far more than run at once
    launch = gpu.kernel(FILE, "meet").bind(num_blocks, 1024, [pointer(0)], cooperative=True)
    with pytest.raises(KernelLaunchFailed, match="kernel meet could not be launched: CUDA_ERROR_COOPERATIVE"):
        launch.enqueue(gpu.stream)

    gpu.stream.synchronize()  # the context lives


@pytest.mark.parametrize("name", ["increment", "increment_after"])
def test_a_graph_replays_its_launches_in_order(gpu: Gpu, name: str) -> None:
    d_counters = gpu.upload(np.zeros(64, np.int32))
    launch = gpu.kernel(FILE, name).bind(1, 64, [pointer(d_counters)], overlaps=name == "increment_after")

    def enqueue() -> None:
        for _ in range(100):
            launch.enqueue(gpu.stream)

    graph = Graph.capture(gpu.stream, enqueue)

    assert [0] * 64 == gpu.download(d_counters, 64, np.int32).tolist()
    for _ in range(20):
        graph.launch(gpu.stream)
    assert [2000] * 64 == gpu.download(d_counters, 64, np.int32).tolist()
    graph.close()


def test_overlapping_launches_in_a_stream_keep_their_order(gpu: Gpu) -> None:
    d_counters = gpu.upload(np.zeros(1024, np.int32))
    launch = gpu.kernel(FILE, "increment_after").bind(1, 1024, [pointer(d_counters)], overlaps=True)
    for _ in range(500):
        launch.enqueue(gpu.stream)

    assert [500] * 1024 == gpu.download(d_counters, 1024, np.int32).tolist()


def test_a_capture_that_fails_leaves_the_stream_as_it_was(gpu: Gpu) -> None:
    d_counter = gpu.upload(np.zeros(1, np.int32))
    launch = gpu.kernel(FILE, "increment").bind(1, 1, [pointer(d_counter)])

    def enqueue() -> None:
        launch.enqueue(gpu.stream)
        raise ValueError("on the way")

    with pytest.raises(ValueError, match="on the way"):
        Graph.capture(gpu.stream, enqueue)
    launch.enqueue(gpu.stream)

    assert [1] == gpu.download(d_counter, 1, np.int32).tolist()


@pytest.mark.req("M0-W-1702")
def test_a_second_start_compiles_nothing_and_its_kernels_run(gpu: Gpu, tmp_path: Path) -> None:
    arch, source = gpu.context.properties.arch, KernelSource(FILE, "line<2>")
    first, second = (Compiler(arch, tmp_path, [Path(__file__).parent]) for _ in range(2))
    first.compile([source])
    kernel = Kernel(source.name, second.compile([source])[source], gpu.context.properties)
    d_x, d_y = gpu.upload(np.ones(1, np.float32)), gpu.empty(4)
    kernel.bind(1, 1, [pointer(d_x), pointer(d_y), Line(1.0, 1.0, 1), c_int32(1)]).enqueue(gpu.stream)

    assert (1, 0) == (first.num_compiled, second.num_compiled)
    assert [4.0] == gpu.download(d_y, 1, np.float32).tolist()
