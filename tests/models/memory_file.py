"""A model file that never was one: metadata, tensor table and bytes in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from domain.errors import ModelLoadFailed
from ports.model_file import MetadataValue, TensorInfo


@dataclass
class MemoryModelFile:
    """A `ModelFile` over a byte string. Change its fields to make a bad file."""

    metadata: dict[str, MetadataValue] = field(default_factory=dict)
    tensors: dict[str, TensorInfo] = field(default_factory=dict)
    data: bytes = b""
    path: str = "/models/tiny-random.gguf"
    largest_read_bytes: int = 0
    num_reads_open: int = 0

    def read(self, tensor: TensorInfo, *, offset_bytes: int, size_bytes: int) -> memoryview:
        assert 0 <= offset_bytes <= offset_bytes + size_bytes <= tensor.size_bytes
        self.largest_read_bytes = max(self.largest_read_bytes, size_bytes)
        start = tensor.offset_bytes + offset_bytes
        if start + size_bytes > len(self.data):
            raise ModelLoadFailed(f"{self.path} became shorter")
        return memoryview(self.data)[start : start + size_bytes]

    def background_reads(self) -> "MemoryReads":
        self.num_reads_open += 1
        return MemoryReads(self)

    def close(self) -> None:
        """Nothing to unmap."""


class MemoryReads:
    """`BackgroundReads` that are made when they are taken, in another order than they were begun.

    Chunk by chunk, so that it shows how large those are; a GGUF file reads all of them by one request.
    """

    def __init__(self, file: MemoryModelFile) -> None:
        self._file = file
        self._begun: list[MemoryRead] = []

    def into(self, chunks: Sequence[memoryview]) -> "MemoryRead":
        return MemoryRead(self._file, chunks, self._begun)

    def take(self) -> "MemoryRead":
        read = self._begun.pop(len(self._begun) // 2)
        read.finish()
        return read

    def close(self) -> None:
        self._file.num_reads_open -= 1


class MemoryRead:
    """Until it is taken, the chunks hold what nobody may take for the file's."""

    def __init__(
        self, file: MemoryModelFile, chunks: Sequence[memoryview], begun: list["MemoryRead"]
    ) -> None:
        self._file = file
        self._chunks = chunks
        self._begun = begun
        self._range: tuple[TensorInfo, int, int] | None = None

    def begin(self, tensor: TensorInfo, *, offset_bytes: int, size_bytes: int) -> None:
        assert self._range is None
        self._range = (tensor, offset_bytes, size_bytes)
        for chunk in self._chunks:
            chunk[:] = b"\xee" * len(chunk)
        self._begun.append(self)

    def finish(self) -> None:
        assert self._range is not None
        (tensor, offset_bytes, size_bytes), self._range = self._range, None
        for chunk in self._chunks:
            part = chunk[:size_bytes]
            part[:] = self._file.read(tensor, offset_bytes=offset_bytes, size_bytes=len(part))
            offset_bytes += len(part)
            size_bytes -= len(part)
