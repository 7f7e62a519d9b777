"""Threads that read a model file into memory, a piece at a time.

One alone reads the page cache far slower than the device takes copies. They do nothing else, and all chunks
of a piece are one long system call without the interpreter lock: among many threads, to get that back takes
longer than to ask for a chunk.
"""

from collections.abc import Sequence
from queue import SimpleQueue
from threading import Thread
from typing import Generic, NamedTuple, Protocol, TypeVar

from ports.model_file import ModelFile, TensorInfo


class Piece(NamedTuple):  # quick to make, for there are thousands
    """Some of a tensor's bytes, whole blocks."""

    tensor: TensorInfo
    offset_bytes: int
    size_bytes: int


class HasChunks(Protocol):
    """What is read into."""

    @property
    def chunks(self) -> Sequence[memoryview]:
        """Of equal size but for the last; together at least as long as any piece."""
        ...


B = TypeVar("B", bound=HasChunks)


class Readers(Generic[B]):
    """Reads pieces into buffers of the caller's. One thread begins and takes; it calls `close` at the end.

    Args:
        file: what is read.
        num_threads: how many pieces are read at once.
    """

    def __init__(self, file: ModelFile, *, num_threads: int) -> None:
        self._file = file
        self._wanted: SimpleQueue[tuple[B, Piece] | None] = SimpleQueue()
        self._read: SimpleQueue[tuple[B, Piece] | BaseException] = SimpleQueue()
        self._threads = [Thread(target=self._run, name="read", daemon=True) for _ in range(num_threads)]
        for thread in self._threads:
            thread.start()

    def begin(self, buffer: B, piece: Piece) -> None:
        """Have `piece` read into the start of `buffer`."""
        self._wanted.put((buffer, piece))

    def take(self) -> tuple[B, Piece]:
        """Some piece that was begun and has been read, and where; waits for one.

        Raises:
            ModelLoadFailed: the file has become shorter, or cannot be read.
        """
        read = self._read.get()
        if isinstance(read, BaseException):
            raise read
        return read

    def has_read(self) -> bool:
        """Whether `take` would not wait."""
        return not self._read.empty()

    def close(self) -> None:
        """End the threads; no buffer is written to any more."""
        for _ in self._threads:
            self._wanted.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (wanted := self._wanted.get()) is not None:
            buffer, piece = wanted
            try:
                self._read_piece(buffer.chunks, piece)
                self._read.put(wanted)
            except BaseException as error:  # raised where it is waited for
                self._read.put(error)

    def _read_piece(self, chunks: Sequence[memoryview], piece: Piece) -> None:
        tensor, offset_bytes, size_bytes = piece
        num_whole, rest_bytes = divmod(size_bytes, len(chunks[0]))
        filled = list(chunks[:num_whole])
        if rest_bytes:
            filled.append(chunks[num_whole][:rest_bytes])
        self._file.read_into(filled, tensor, offset_bytes=offset_bytes)
