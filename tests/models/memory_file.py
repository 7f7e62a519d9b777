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

    def read(self, tensor: TensorInfo, *, offset_bytes: int, size_bytes: int) -> memoryview:
        assert 0 <= offset_bytes <= offset_bytes + size_bytes <= tensor.size_bytes
        self.largest_read_bytes = max(self.largest_read_bytes, size_bytes)
        start = tensor.offset_bytes + offset_bytes
        if start + size_bytes > len(self.data):
            raise ModelLoadFailed(f"{self.path} became shorter")
        return memoryview(self.data)[start : start + size_bytes]

    def read_into(self, buffers: Sequence[memoryview], tensor: TensorInfo, *, offset_bytes: int) -> None:
        for buffer in buffers:
            buffer[:] = self.read(tensor, offset_bytes=offset_bytes, size_bytes=len(buffer))
            offset_bytes += len(buffer)

    def close(self) -> None:
        """Nothing to unmap."""
