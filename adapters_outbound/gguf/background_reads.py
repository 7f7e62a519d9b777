"""Reads of a GGUF file by threads of the C library.

By system calls and not from the mapping, where each page would be a fault, and threads would wait for each
other to have theirs mapped.
"""

import os
from collections.abc import Sequence
from contextlib import suppress

from adapters_outbound.gguf.open_file import OpenFile
from adapters_outbound.gguf.place import place
from adapters_outbound.posix_aio import BufferRead, wait_for_any
from domain.errors import ModelLoadFailed
from ports.model_file import TensorInfo


class GgufBackgroundReads:
    """Reads of one file. One thread makes, begins, takes and closes them, before the file is closed.

    Args:
        file: what is read.
    """

    def __init__(self, file: OpenFile) -> None:
        self._file = file
        self._descriptors: list[int] = []
        self._under_way: list[GgufBackgroundRead] = []

    def into(self, chunks: Sequence[memoryview]) -> "GgufBackgroundRead":
        """Reads that fill `chunks`, one after the other, each a request of its own.

        Args:
            chunks: writable, contiguous, not empty. They stay as long as the reads do.

        Raises:
            ModelLoadFailed: the system gives no more descriptors.
        """
        try:
            self._descriptors.append(os.dup(self._file.descriptor))
        except OSError as error:
            raise self._file.unreadable(error) from error
        return GgufBackgroundRead(self._file, self._descriptors[-1], chunks, self._under_way)

    def take(self) -> "GgufBackgroundRead":
        """One of those begun that is done; waits for it.

        Raises:
            ModelLoadFailed: the file has become shorter than it was when it was opened, or cannot be read.
        """
        while (read := self.take_done()) is None:
            wait_for_any([read.last_request for read in self._under_way])
        return read

    def take_done(self) -> "GgufBackgroundRead | None":
        """As `take`, where there is one."""
        for i, read in enumerate(self._under_way):
            if read.is_done():
                del self._under_way[i]
                read.finish()
                return read
        return None

    def close(self) -> None:
        """Wait for those under way: no buffer is written to any more. Idempotent."""
        while self._under_way:
            with suppress(ModelLoadFailed):
                self.take()
        while self._descriptors:
            os.close(self._descriptors.pop())


class GgufBackgroundRead:
    """Reads into the same chunks of memory, one at a time.

    Args:
        file: what is read.
        descriptor: of it, for this alone.
        chunks: what is read into.
        under_way: where this is while a read is.
    """

    def __init__(
        self,
        file: OpenFile,
        descriptor: int,
        chunks: Sequence[memoryview],
        under_way: list["GgufBackgroundRead"],
    ) -> None:
        self._file = file
        self._descriptor = descriptor
        self._chunks = [(BufferRead(chunk), chunk) for chunk in chunks]
        self._size_bytes = sum(map(len, chunks))
        self._under_way = under_way
        self._begun: list[tuple[BufferRead, memoryview, int]] = []  # and from where in the file

    def begin(self, tensor: TensorInfo, *, offset_bytes: int, size_bytes: int) -> None:
        """Have so many stored bytes of a tensor read to the start of the chunks.

        Raises:
            ModelLoadFailed: the system takes no more requests.
            ValueError: the range is not inside the tensor, or larger than the chunks.
        """
        if size_bytes > self._size_bytes:
            raise ValueError(f"{size_bytes} bytes into chunks of {self._size_bytes}")
        start = place(tensor, offset_bytes, size_bytes)
        self._begun = []
        self._under_way.append(self)
        for request, chunk in self._chunks:
            part = chunk[:size_bytes]
            try:
                request.begin(self._descriptor, start=start, size_bytes=len(part))
            except OSError as error:
                raise self._file.unreadable(error) from error
            self._begun.append((request, part, start))
            start += len(part)
            size_bytes -= len(part)
            if not size_bytes:
                break

    @property
    def last_request(self) -> BufferRead:
        """The one that is done last: those of one descriptor are made in turn."""
        return self._begun[-1][0]

    def is_done(self) -> bool:
        return all(request.is_done for request, *_ in reversed(self._begun))

    def finish(self) -> None:
        """See that all has come.

        Raises:
            ModelLoadFailed: it has not, and does not when it is asked for again.
        """
        for request, part, start in self._begun:
            try:
                count = request.result()
            except OSError as error:
                raise self._file.unreadable(error) from error
            self._file.fill(part[count:], start + count)  # a read may bring only a part
