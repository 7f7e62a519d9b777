"""One mapped GGUF file."""

import mmap
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType

from adapters_outbound.gguf.bad_file import bad_file
from ports.model_file import MetadataValue, TensorInfo

_MOST_BUFFERS = os.sysconf("SC_IOV_MAX")  # of one call
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
        self._descriptor = descriptor
        self._size_bytes = len(mapping)
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
        start = _place(tensor, offset_bytes, size_bytes)
        self._check_length()
        self._release(mapping)
        self._touched = (start, start + size_bytes)
        return memoryview(mapping)[start : start + size_bytes]

    def read_into(self, buffers: Sequence[memoryview], tensor: TensorInfo, *, offset_bytes: int) -> None:
        """Fill `buffers`, one after the other, with stored bytes of a tensor. Any number of threads at once.

        By system calls and not from the mapping, where each page would be a fault, and threads would wait
        for each other to have theirs mapped.

        Raises:
            ModelLoadFailed: the file has become shorter than it was when it was opened, or cannot be read.
            ValueError: the range is not inside the tensor, or the file is closed.
        """
        self._open_mapping()
        start = _place(tensor, offset_bytes, sum(map(len, buffers)))
        unfilled = [buffer for buffer in buffers if buffer]
        while unfilled:
            try:
                count = os.preadv(self._descriptor, unfilled[:_MOST_BUFFERS], start)
            except OSError as exc:
                raise bad_file(self._path, "file", expected="a readable file", actual=str(exc)) from exc
            if count == 0:
                self._check_length()
            start += count
            unfilled = _after(unfilled, count)

    def close(self) -> None:
        """Unmap the file; where views are still held, when the last of them is gone. Idempotent."""
        mapping, self._mapping = self._mapping, None
        if mapping is not None:
            os.close(self._descriptor)
            with suppress(BufferError):
                mapping.close()

    def _open_mapping(self) -> mmap.mmap:
        if self._mapping is None:
            raise ValueError(f"{self._path} is closed")
        return self._mapping

    def _check_length(self) -> None:
        # Touching a page beyond the end of a shortened file is SIGBUS, which kills the process.
        if (length := os.fstat(self._descriptor).st_size) < self._size_bytes:
            expected = f"{self._size_bytes} bytes, as when it was opened"
            raise bad_file(self._path, "file size", expected=expected, actual=length)

    def _release(self, mapping: mmap.mmap) -> None:
        """Give the pages read before back: a model streams through memory, it does not gather there."""
        first, last = self._touched
        start = max(0, first - _NEIGHBOURS_BYTES) // mmap.PAGESIZE * mmap.PAGESIZE
        stop = min(len(mapping), last + _NEIGHBOURS_BYTES)
        with suppress(OSError):  # locked pages stay; that is no reason to fail
            mapping.madvise(mmap.MADV_DONTNEED, start, stop - start)


def _after(buffers: list[memoryview], num_bytes: int) -> list[memoryview]:
    """What is left of buffers, none of them empty, once so many bytes are in them."""
    for i, buffer in enumerate(buffers):
        if num_bytes < len(buffer):
            return [buffer[num_bytes:], *buffers[i + 1 :]]
        num_bytes -= len(buffer)
    return []


def _place(tensor: TensorInfo, offset_bytes: int, size_bytes: int) -> int:
    """Where in the file a range of a tensor begins."""
    if min(offset_bytes, size_bytes) < 0 or offset_bytes + size_bytes > tensor.size_bytes:
        raise ValueError(f"bytes {offset_bytes} + {size_bytes} are not inside {tensor.name}")
    return tensor.offset_bytes + offset_bytes
