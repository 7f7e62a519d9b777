"""A model file's tensors reach the device whole, packed, in bounded pieces."""

from collections.abc import Callable, Sequence
from contextlib import closing
from math import prod
from typing import Any

import numpy as np
import pytest

from backends.cuda.host_memory import HostMemory
from backends.cuda.kernel import Kernel
from backends.cuda.memory import DeviceBuffer
from backends.cuda.stream import Stream
from backends.cuda.upload import NUM_SLOTS, NUM_WAYS, WeightUploader, repack_sources
from backends.cuda.weights import DeviceWeights
from domain.architectures import describe
from domain.errors import DeviceError, ModelLoadFailed
from domain.memory_plan import align
from ports.compute_backend import OnProgress
from ports.memory import MemoryClass
from ports.model_file import TensorInfo
from ports.tensor_types import TensorType
from tests.backends.cuda.packed_reference import pack
from tests.kernels.gpu import Gpu
from tests.models.memory_file import MemoryModelFile
from tests.models.tiny import TinyShape, tiny_model, tiny_model_of

pytestmark = [pytest.mark.gpu, pytest.mark.req("M0-W-1201", "M0-W-1220", "M0-W-1222")]

PIECE_BYTES = 4096


class Upload:
    """The tensors of a file in an allocation of their own, with what was reported on the way."""

    def __init__(self, gpu: Gpu, file: MemoryModelFile) -> None:
        self._gpu, self._file = gpu, file
        self.tensors: Sequence[TensorInfo] = describe(file).tensors
        self.size_bytes = sum(align(tensor.size_bytes) for tensor in self.tensors)
        self.d_base = gpu.empty(self.size_bytes)
        self.weights = DeviceWeights(self.tensors, self.d_base)
        self.progress: list[tuple[int, int]] = []

    def run(
        self,
        chunk_bytes: int,
        *,
        piece_bytes: int = PIECE_BYTES,
        make_stream: Callable[[], Stream] = Stream,
        on_progress: OnProgress | None = None,
    ) -> None:
        gpu = self._gpu
        cubins = gpu.compiler.compile(repack_sources(self.tensors))
        kernels = {
            source: Kernel(source.name, cubin, gpu.context.properties) for source, cubin in cubins.items()
        }
        staging_bytes = NUM_WAYS * piece_bytes
        with closing(HostMemory(NUM_SLOTS * piece_bytes, gpu.context.enter)) as host:
            uploader = WeightUploader(
                kernels,
                DeviceBuffer(gpu.empty(staging_bytes), staging_bytes, MemoryClass.SCRATCH),
                host,
                chunk_bytes=chunk_bytes,
                make_stream=make_stream,
            )
            uploader.upload(self._file, self.tensors, self.weights, on_progress=on_progress or self._note)

    def _note(self, done_bytes: int, total_bytes: int) -> None:
        self.progress.append((done_bytes, total_bytes))

    def on_device(self) -> bytes:
        return bytes(self._gpu.download(self.d_base, (self.size_bytes,), np.uint8).tobytes())

    def expected(self) -> bytes:
        """Every tensor packed; poison up to the next boundary."""
        return b"".join(
            self._packed(tensor).ljust(align(tensor.size_bytes), b"\xff") for tensor in self.tensors
        )

    def _packed(self, tensor: TensorInfo) -> bytes:
        stored = self._file.data[tensor.offset_bytes :][: tensor.size_bytes]
        return pack(tensor.type, stored, rows=prod(tensor.shape[:-1]), cols=tensor.shape[-1])


@pytest.mark.parametrize("tensor_type", TensorType, ids=lambda tensor_type: tensor_type.name)
@pytest.mark.parametrize(
    ("chunk_bytes", "piece_bytes"), [(1000, 4096), (2**20, 4096), (777, 2**16), (2**20, 256)]
)
def test_every_tensor_is_in_its_place(
    gpu: Gpu, tensor_type: TensorType, chunk_bytes: int, piece_bytes: int
) -> None:
    upload = Upload(gpu, tiny_model_of(tensor_type))

    upload.run(chunk_bytes, piece_bytes=piece_bytes)

    assert upload.expected() == upload.on_device()


def test_a_chunk_may_be_smaller_than_a_block(gpu: Gpu) -> None:
    upload = Upload(gpu, tiny_model(TinyShape(matrix_type=TensorType.MXFP4, vocab_size=8, num_layers=1)))

    upload.run(chunk_bytes=1)

    assert upload.expected() == upload.on_device()


def test_experts_are_rows_of_one_tensor(gpu: Gpu) -> None:
    upload = Upload(gpu, tiny_model(TinyShape("gpt-oss", matrix_type=TensorType.Q8_0)))

    upload.run(333)

    assert upload.expected() == upload.on_device()


@pytest.mark.req("M0-W-1621")
def test_progress_begins_with_nothing_and_ends_with_everything(gpu: Gpu) -> None:
    upload = Upload(gpu, tiny_model(TinyShape(matrix_type=TensorType.Q5_0)))

    upload.run(1000)

    done_bytes = [done for done, _ in upload.progress]
    total_bytes = sum(tensor.size_bytes for tensor in upload.tensors)
    assert {total_bytes} == {total for _, total in upload.progress}
    assert sorted(set(done_bytes)) == done_bytes
    assert (0, total_bytes) == (done_bytes[0], done_bytes[-1])
    assert max(np.diff(done_bytes)) <= PIECE_BYTES


class StreamThatMeasures(Stream):
    """Notes how large the copies to the device are."""

    largest_copy_bytes = 0

    def copy_chunks_to_device_async(
        self, destinations: Sequence[Any], sources: Sequence[Any], sizes: Sequence[int]
    ) -> None:
        self.largest_copy_bytes = max(self.largest_copy_bytes, *sizes)
        super().copy_chunks_to_device_async(destinations, sources, sizes)


def test_no_copy_and_no_read_is_larger_than_asked_for(gpu: Gpu) -> None:
    block_bytes = TensorType.Q4_0.block.size_bytes
    for chunk_bytes, most_bytes in [(1000, 1000), (2**20, PIECE_BYTES)]:
        file, streams = tiny_model(TinyShape(matrix_type=TensorType.Q4_0)), list[StreamThatMeasures]()

        def make_stream(streams: list[StreamThatMeasures] = streams) -> Stream:
            streams.append(StreamThatMeasures())
            return streams[-1]

        Upload(gpu, file).run(chunk_bytes, make_stream=make_stream)

        largest_copy_bytes = max(stream.largest_copy_bytes for stream in streams)
        assert most_bytes - block_bytes < largest_copy_bytes <= most_bytes
        assert most_bytes - block_bytes < file.largest_read_bytes <= most_bytes


@pytest.mark.req("M0-W-1222")
def test_who_raises_on_progress_ends_the_upload_and_leaves_the_device_usable(gpu: Gpu) -> None:
    class Stopped(Exception):
        pass

    def stop(done_bytes: int, _total_bytes: int) -> None:
        if done_bytes:
            raise Stopped

    upload = Upload(gpu, tiny_model(TinyShape()))
    with pytest.raises(Stopped):
        upload.run(1000, on_progress=stop)

    upload.run(1000)

    assert upload.expected() == upload.on_device()


def test_a_file_that_became_shorter_ends_the_upload_and_leaves_the_device_usable(gpu: Gpu) -> None:
    file = tiny_model(TinyShape(matrix_type=TensorType.Q8_0))
    whole, file.data = file.data, file.data[: len(file.data) // 2]
    with pytest.raises(ModelLoadFailed, match="shorter"):
        Upload(gpu, file).run(1000)

    file.data = whole
    again = Upload(gpu, file)
    again.run(1000)

    assert again.expected() == again.on_device()


class StreamThatFails(Stream):
    """The fifth copy to the device fails, in whichever stream."""

    num_copies = 0

    def copy_chunks_to_device_async(
        self, destinations: Sequence[Any], sources: Sequence[Any], sizes: Sequence[int]
    ) -> None:
        for _ in sizes:
            StreamThatFails.num_copies += 1
            if StreamThatFails.num_copies == 5:
                raise DeviceError("cuMemcpyBatchAsync: CUDA_ERROR_INVALID_VALUE")
        super().copy_chunks_to_device_async(destinations, sources, sizes)


@pytest.mark.req("M0-W-1501")
def test_the_first_copy_that_fails_ends_the_upload(gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StreamThatFails, "num_copies", 0)

    with pytest.raises(ModelLoadFailed, match=r"tiny-random\.gguf: upload failed: cuMemcpyBatchAsync"):
        Upload(gpu, tiny_model(TinyShape())).run(1000, make_stream=StreamThatFails)

    assert 5 == StreamThatFails.num_copies
