"""Pieces of a file are read by several threads; the first failure is told, and no thread is left."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from backends.cuda.readers import Piece, Readers
from domain.errors import ModelLoadFailed
from ports.model_file import TensorInfo
from ports.tensor_types import TensorType
from tests.models.memory_file import MemoryModelFile

pytestmark = pytest.mark.req("M0-W-1222")

DATA = bytes(range(200)) * 5


@dataclass(eq=False)
class Buffer:
    """Room for a piece of 64 bytes, in chunks."""

    chunk_bytes: int = 64
    room: memoryview = field(default_factory=lambda: memoryview(bytearray(64)))

    @property
    def chunks(self) -> Sequence[memoryview]:
        return [self.room[start : start + self.chunk_bytes] for start in range(0, 64, self.chunk_bytes)]


def tensor_of(file: MemoryModelFile) -> TensorInfo:
    return TensorInfo("w", (len(file.data) // 4,), TensorType.F32, 0, len(file.data))


def read_all(
    file: MemoryModelFile, tensor: TensorInfo, *, num_threads: int, chunk_bytes: int = 64
) -> dict[int, bytes]:
    """What was read, by where it lies."""
    pieces = [Piece(tensor, start, min(64, 1000 - start)) for start in range(0, 1000, 64)]
    readers: Readers[Buffer] = Readers(file, num_threads=num_threads)
    try:
        for piece in pieces:
            readers.begin(Buffer(chunk_bytes), piece)
        taken = [readers.take() for _ in pieces]
    finally:
        readers.close()
    return {piece.offset_bytes: bytes(buffer.room[: piece.size_bytes]) for buffer, piece in taken}


@pytest.mark.parametrize("num_threads", [1, 2, 5])
@pytest.mark.parametrize("chunk_bytes", [7, 64, 1000])
def test_every_piece_is_read_into_the_buffer_it_was_begun_with(num_threads: int, chunk_bytes: int) -> None:
    file = MemoryModelFile(data=DATA)

    read = read_all(file, tensor_of(file), num_threads=num_threads, chunk_bytes=chunk_bytes)

    assert DATA == b"".join(read[start] for start in range(0, 1000, 64))
    assert min(chunk_bytes, 64) == file.largest_read_bytes


def test_they_read_at_the_same_time() -> None:
    all_busy = threading.Barrier(3)

    class Slow(MemoryModelFile):
        def read_into(self, buffers: Sequence[memoryview], tensor: TensorInfo, *, offset_bytes: int) -> None:
            all_busy.wait(timeout=10)
            super().read_into(buffers, tensor, offset_bytes=offset_bytes)

    file = Slow(data=DATA)
    readers: Readers[Buffer] = Readers(file, num_threads=3)
    for start in (0, 64, 128):
        readers.begin(Buffer(), Piece(tensor_of(file), start, 64))
    taken = [readers.take()[1].offset_bytes for _ in range(3)]
    readers.close()

    assert [0, 64, 128] == sorted(taken)


def test_what_has_been_read_is_there_to_be_taken() -> None:
    file = MemoryModelFile(data=DATA)
    readers: Readers[Buffer] = Readers(file, num_threads=1)
    before = readers.has_read()
    readers.begin(Buffer(), Piece(tensor_of(file), 0, 64))
    readers.close()

    assert [False, True] == [before, readers.has_read()]


@pytest.mark.req("M0-W-1501")
@pytest.mark.parametrize("num_threads", [1, 4])
def test_a_read_that_fails_is_raised_where_it_is_waited_for_and_no_thread_is_left(num_threads: int) -> None:
    file = MemoryModelFile(data=DATA)
    tensor, file.data = tensor_of(file), DATA[:500]
    before = threading.active_count()

    with pytest.raises(ModelLoadFailed, match="became shorter"):
        read_all(file, tensor, num_threads=num_threads)

    assert before == threading.active_count()
