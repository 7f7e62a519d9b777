"""Reads of a GGUF file by threads of the C library.

By system calls and not from the mapping, where each page would be a fault, and threads would wait for each
other to have theirs mapped.
"""

import os
from collections.abc import Sequence
from contextlib import suppress

from adapters_outbound.gguf.open_file import OpenFile
from adapters_outbound.gguf.place import place
from adapters_outbound.posix_aio import BufferRead, joined, wait_for_any
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
        """Reads that fill `chunks`, all of them by one request: to make it takes as long as 250 KB to read.

        Args:
            chunks: writable, not empty, one behind the other. They stay as long as the reads do.

        Raises:
            ModelLoadFailed: the system gives no more descriptors.
            ValueError: the chunks do not lie one behind the other.
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
        while True:
            for i, read in enumerate(self._under_way):
                if read.request.is_done:
                    del self._under_way[i]
                    read.finish()
                    return read
            wait_for_any([read.request for read in self._under_way])

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
        self._chunks = chunks  # held, for what follows does not
        self._memory = joined(chunks)
        self.request = BufferRead(self._memory)
        self._under_way = under_way
        self._range = (0, 0)  # where in the file, and how many bytes

    def begin(self, tensor: TensorInfo, *, offset_bytes: int, size_bytes: int) -> None:
        """Have so many stored bytes of a tensor read to the start of the chunks.

        Raises:
            ModelLoadFailed: the system takes no more requests.
            ValueError: the range is not inside the tensor, or larger than the chunks.
        """
        start = place(tensor, offset_bytes, size_bytes)
        if size_bytes > len(self._memory):
            raise ValueError(f"{size_bytes} bytes into chunks of {len(self._memory)}")
        try:
            self.request.begin(self._descriptor, start=start, size_bytes=size_bytes)
        except OSError as error:
            raise self._file.unreadable(error) from error
        self._range = start, size_bytes
        self._under_way.append(self)

    def finish(self) -> None:
        """See that all has come.

        Raises:
            ModelLoadFailed: it has not, and does not when it is asked for again.
        """
        start, size_bytes = self._range
        try:
            count = self.request.result()
        except OSError as error:
            raise self._file.unreadable(error) from error
        self._file.fill(self._memory[count:size_bytes], start + count)  # a read may bring only a part
