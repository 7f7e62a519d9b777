"""One mapped GGUF file."""

import mmap
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType

from adapters_outbound.gguf.background_reads import GgufBackgroundReads
from adapters_outbound.gguf.open_file import OpenFile
from adapters_outbound.gguf.place import place
from ports.model_file import MetadataValue, TensorInfo

# The kernel maps neighbours of a touched page too, 64 KiB at a time; they are released with it.
_NEIGHBOURS_BYTES = 128 * 1024


class GgufModelFile:
    """A validated file, mapped read-only. Any thread may read; the owner closes.

    Args:
        path: its name.
        descriptor: of the open file, closed with this.
        mapping: of the whole file.
        metadata: as read from it.
        tensors: by name, each inside the file.
    """

    def __init__(
        self,
        path: str,
        descriptor: int,
        mapping: mmap.mmap,
        *,
        metadata: Mapping[str, MetadataValue],
        tensors: Mapping[str, TensorInfo],
    ) -> None:
        self._path = path
        self._file = OpenFile(path, descriptor, len(mapping))
        self._mapping: mmap.mmap | None = mapping
        self._metadata = MappingProxyType(metadata)
        self._tensors = MappingProxyType(tensors)
        self._touched = (0, len(mapping))  # validation has read the header

    @property
    def path(self) -> str:
        return self._path

    @property
    def metadata(self) -> Mapping[str, MetadataValue]:
        return self._metadata

    @property
    def tensors(self) -> Mapping[str, TensorInfo]:
        return self._tensors

    def read(self, tensor: TensorInfo, *, offset_bytes: int, size_bytes: int) -> memoryview:
        """View stored bytes of a tensor without copying; the view is valid until the next call or `close`.

        Raises:
            ModelLoadFailed: the file has become shorter than it was when it was opened.
            ValueError: the range is not inside the tensor, or the file is closed.
        """
        mapping = self._open_mapping()
        start = place(tensor, offset_bytes, size_bytes)
        self._file.check_length()  # a page beyond the end is SIGBUS, which kills the process
        self._release(mapping)
        self._touched = (start, start + size_bytes)
        return memoryview(mapping)[start : start + size_bytes]

    def background_reads(self) -> GgufBackgroundReads:
        """Reads that go on beside the caller, who closes them before this.

        Raises:
            ValueError: the file is closed.
        """
        self._open_mapping()
        return GgufBackgroundReads(self._file)

    def close(self) -> None:
        """Unmap the file; where views are still held, when the last of them is gone. Idempotent."""
        mapping, self._mapping = self._mapping, None
        if mapping is not None:
            self._file.close()
            with suppress(BufferError):
                mapping.close()

    def _open_mapping(self) -> mmap.mmap:
        if self._mapping is None:
            raise ValueError(f"{self._path} is closed")
        return self._mapping

    def _release(self, mapping: mmap.mmap) -> None:
        """Give the pages read before back: a model streams through memory, it does not gather there."""
        first, last = self._touched
        start = max(0, first - _NEIGHBOURS_BYTES) // mmap.PAGESIZE * mmap.PAGESIZE
        stop = min(len(mapping), last + _NEIGHBOURS_BYTES)
        with suppress(OSError):  # locked pages stay; that is no reason to fail
            mapping.madvise(mmap.MADV_DONTNEED, start, stop - start)
