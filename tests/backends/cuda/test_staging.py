"""The way of tensors to a device that is the host's own memory: which bytes go where, and what is held."""

import ctypes
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters_outbound.gguf.opener import GgufModelFileOpener
from backends.cuda import host_memory, stream
from backends.cuda.host_memory import HostMemory
from backends.cuda.memory import DeviceBuffer
from backends.cuda.round_trip import NUM_AHEAD
from backends.cuda.staging import repack_source
from backends.cuda.upload import NUM_WAYS, WeightUploader
from backends.cuda.weights import DeviceWeights
from domain.architectures import describe
from domain.errors import ModelLoadFailed
from domain.memory_plan import ALIGNMENT_BYTES, align
from ports.compute_backend import OnProgress
from ports.memory import MemoryClass
from ports.model_file import ModelFile, TensorInfo
from ports.tensor_types import TensorType
from tests.backends.cuda.host_driver import HostDriver
from tests.models.memory_file import MemoryModelFile
from tests.models.on_disk import write_model
from tests.models.tiny import tiny_model_of

pytestmark = pytest.mark.req("M0-W-1222", "M0-W-1220")

PIECE_BYTES = 4096


class RepackOnHost:
    """Stands for a `Kernel` and its launches: puts the staged blocks, as they are, where the tensor lies."""

    def __init__(self, tensor_type: TensorType, args: Sequence[Any] = (), *, num_threads: int = 0) -> None:
        self._type = tensor_type
        self._num_threads = num_threads
        self.args = args

    def bind(self, grid: int, block: int, args: Sequence[Any]) -> "RepackOnHost":
        return RepackOnHost(self._type, args, num_threads=grid * block)

    def enqueue(self, on: stream.Stream) -> None:
        d_staged, first_block, num_blocks = (arg.value for arg in self.args[:3])  # as they are now
        num_elements, block_bytes = self._type.block
        assert num_blocks * num_elements // 32 <= self._num_threads
        d_blocks = self.args[3].d_quants + first_block * block_bytes
        on.handle.enqueue(lambda: ctypes.memmove(d_blocks, d_staged, num_blocks * block_bytes))


class Upload:
    """A model's tensors on their way into an array that stands for device memory."""

    def __init__(self, file: MemoryModelFile, *, stored: ModelFile | None = None) -> None:
        self.file = file
        self._stored_file = stored or file
        self.tensors = describe(file).tensors
        size_bytes = sum(align(tensor.size_bytes) for tensor in self.tensors)
        self._device = np.full(size_bytes + ALIGNMENT_BYTES, 0xFF, np.uint8)
        skipped = -self._device.ctypes.data % ALIGNMENT_BYTES
        self.memory = self._device[skipped : skipped + size_bytes]
        self.weights = DeviceWeights(self.tensors, self.memory.ctypes.data)

    def run(self, *, num_slots: int, chunk_bytes: int, on_progress: OnProgress = lambda *_: None) -> None:
        staging = np.empty(NUM_WAYS * PIECE_BYTES, np.uint8)
        kernels: Any = {repack_source(tensor_type): RepackOnHost(tensor_type) for tensor_type in TensorType}
        with closing(HostMemory(num_slots * PIECE_BYTES, lambda: None)) as host:
            uploader = WeightUploader(
                kernels,
                DeviceBuffer(staging.ctypes.data, staging.nbytes, MemoryClass.SCRATCH),
                host,
                chunk_bytes=chunk_bytes,
            )
            uploader.upload(self._stored_file, self.tensors, self.weights, on_progress=on_progress)

    def expected(self) -> bytes:
        """Every tensor as in the file, from a boundary on; poison up to the next."""
        return b"".join(
            self._stored(tensor).ljust(align(tensor.size_bytes), b"\xff") for tensor in self.tensors
        )

    def _stored(self, tensor: TensorInfo) -> bytes:
        return self.file.data[tensor.offset_bytes :][: tensor.size_bytes]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[[HostDriver], HostDriver]:
    def put(driver: HostDriver) -> HostDriver:
        for module in (host_memory, stream):
            monkeypatch.setattr(module, "driver", driver)
        return driver

    return put


@pytest.fixture
def driver(install: Callable[[HostDriver], HostDriver]) -> HostDriver:
    return install(HostDriver())


@pytest.mark.parametrize("tensor_type", TensorType, ids=lambda tensor_type: tensor_type.name)
@pytest.mark.parametrize(
    ("num_slots", "chunk_bytes"), [(NUM_AHEAD + 1, 1000), (NUM_AHEAD + 2, 777), (24, 2**20)]
)
def test_every_byte_of_the_file_comes_to_its_tensors_place_and_nothing_else_is_touched(
    driver: HostDriver, tensor_type: TensorType, num_slots: int, chunk_bytes: int
) -> None:
    upload = Upload(tiny_model_of(tensor_type))

    upload.run(num_slots=num_slots, chunk_bytes=chunk_bytes)

    assert upload.expected() == upload.memory.tobytes()
    assert driver.largest_copy_bytes <= min(chunk_bytes, PIECE_BYTES)
    assert upload.file.largest_read_bytes <= min(chunk_bytes, PIECE_BYTES)
    assert driver.largest_pinned_bytes == num_slots * PIECE_BYTES


@pytest.mark.req("M0-W-1221")
def test_a_file_on_the_disk_comes_as_its_double_in_memory(driver: HostDriver, tmp_path: Path) -> None:
    double = tiny_model_of(TensorType.Q6_K)
    write_model(tmp_path / "tiny.gguf", double)
    with closing(GgufModelFileOpener().open(str(tmp_path / "tiny.gguf"))) as stored:
        expected, upload = Upload(double), Upload(double, stored=stored)
        upload.tensors = describe(stored).tensors  # they lie elsewhere in the file
        upload.run(num_slots=24, chunk_bytes=1000)

    assert expected.expected() == upload.memory.tobytes()
    assert nothing_is_held(driver, upload)


def nothing_is_held(driver: HostDriver, upload: Upload) -> bool:
    held = (driver.num_streams, driver.num_events, driver.pinned, upload.file.num_reads_open)
    return (0, 0, {}, 0) == held


@pytest.mark.req("M0-W-1621")
def test_progress_goes_from_nothing_to_everything(driver: HostDriver) -> None:
    upload = Upload(tiny_model_of(TensorType.Q4_K))
    reports: list[tuple[int, int]] = []

    upload.run(num_slots=24, chunk_bytes=1000, on_progress=lambda *report: reports.append(report))

    total_bytes = sum(tensor.size_bytes for tensor in upload.tensors)
    assert [(0, total_bytes), (total_bytes, total_bytes)] == [reports[0], reports[-1]]
    assert sorted(set(reports)) == reports
    assert nothing_is_held(driver, upload)


@pytest.mark.req("M0-W-1501", "M0-W-1111")
@pytest.mark.parametrize("num_slots", [NUM_AHEAD + 1, 24])
def test_the_first_copy_that_fails_ends_the_upload_and_nothing_is_held(
    install: Callable[[HostDriver], HostDriver], num_slots: int
) -> None:
    driver = install(HostDriver(failing_copy=5))

    upload = Upload(tiny_model_of(TensorType.F16))
    with pytest.raises(ModelLoadFailed, match=r"tiny-random\.gguf: upload failed: cuMemcpyBatchAsync"):
        upload.run(num_slots=num_slots, chunk_bytes=1000)

    assert 5 == driver.num_copies
    assert nothing_is_held(driver, upload)


@pytest.mark.req("M0-W-1501", "M0-W-1111")
def test_memory_that_cannot_be_locked_ends_the_upload_and_nothing_is_held(
    install: Callable[[HostDriver], HostDriver],
) -> None:
    driver = install(HostDriver(locks_memory=False))

    upload = Upload(tiny_model_of(TensorType.F16))
    with pytest.raises(ModelLoadFailed, match=r"tiny-random\.gguf: upload failed: cuMemHostRegister"):
        upload.run(num_slots=24, chunk_bytes=1000)

    assert nothing_is_held(driver, upload)


@pytest.mark.req("M0-W-1111")
def test_a_file_that_becomes_shorter_ends_the_upload_and_nothing_is_held(driver: HostDriver) -> None:
    upload = Upload(tiny_model_of(TensorType.Q8_0))
    upload.file.data = upload.file.data[: len(upload.file.data) // 2]

    with pytest.raises(ModelLoadFailed, match="became shorter"):
        upload.run(num_slots=24, chunk_bytes=1000)

    assert nothing_is_held(driver, upload)


def test_who_raises_on_progress_ends_the_upload_and_nothing_is_held(driver: HostDriver) -> None:
    class Stopped(Exception):
        pass

    def stop(done_bytes: int, _total_bytes: int) -> None:
        if done_bytes:
            raise Stopped

    upload = Upload(tiny_model_of(TensorType.F32))
    with pytest.raises(Stopped):
        upload.run(num_slots=24, chunk_bytes=1000, on_progress=stop)

    assert nothing_is_held(driver, upload)
