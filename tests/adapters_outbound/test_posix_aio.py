"""Reads by threads of the C library, on real files."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters_outbound.posix_aio import BufferRead, joined, wait_for_any

pytestmark = pytest.mark.req("M0-W-1221")

DATA = os.urandom(100_000)


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "file").write_bytes(DATA)
    opened = os.open(tmp_path / "file", os.O_RDONLY)
    yield opened
    os.close(opened)


def result(read: BufferRead) -> int:
    while not read.is_done:
        wait_for_any([read])
    return read.result()


@pytest.mark.parametrize(("start", "size"), [(0, 1), (0, 1000), (12_345, 999), (99_000, 1000)])
def test_the_first_bytes_of_the_buffer_are_those_of_the_file_and_the_others_are_left(
    descriptor: int, start: int, size: int
) -> None:
    buffer = bytearray(b"-" * 1000)
    read = BufferRead(memoryview(buffer))

    read.begin(descriptor, start=start, size_bytes=size)

    assert size == result(read)
    assert DATA[start : start + size] + b"-" * (1000 - size) == bytes(buffer)


def test_one_buffer_is_read_into_time_and_again(descriptor: int) -> None:
    buffer = bytearray(500)
    read = BufferRead(memoryview(buffer))

    for start in range(0, 100_000, 500):
        read.begin(descriptor, start=start, size_bytes=500)
        assert 500 == result(read)
        assert DATA[start : start + 500] == bytes(buffer)


def test_a_place_beyond_four_gigabytes_is_found(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.seek(5 * 2**30 + 3)
        file.write(b"here")
    buffer = bytearray(4)
    read = BufferRead(memoryview(buffer))
    descriptor = os.open(tmp_path / "large", os.O_RDONLY)

    read.begin(descriptor, start=5 * 2**30 + 3, size_bytes=4)

    assert (4, b"here") == (result(read), bytes(buffer))
    os.close(descriptor)


def test_at_the_end_of_the_file_there_is_less_and_behind_it_nothing(descriptor: int) -> None:
    read = BufferRead(memoryview(bytearray(1000)))

    read.begin(descriptor, start=99_900, size_bytes=1000)
    at_the_end = result(read)
    read.begin(descriptor, start=100_000, size_bytes=1000)

    assert (100, 0) == (at_the_end, result(read))


def test_it_is_done_while_nobody_waits(descriptor: int) -> None:
    read = BufferRead(memoryview(bytearray(100_000)))

    read.begin(descriptor, start=0, size_bytes=100_000)
    deadline_s = time.monotonic() + 10
    while not read.is_done and time.monotonic() < deadline_s:
        pass

    assert 100_000 == read.result()


def test_who_waits_for_any_of_several_goes_on_with_the_first(descriptor: int) -> None:
    reads = [BufferRead(memoryview(bytearray(10_000))) for _ in range(10)]
    for i, read in enumerate(reads):
        read.begin(descriptor, start=10_000 * i, size_bytes=10_000)

    results = []
    while reads:
        wait_for_any(reads)
        done = next(read for read in reads if read.is_done)
        reads.remove(done)
        results.append(done.result())

    assert [10_000] * 10 == results


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one processor, one thread that reads")
def test_one_that_has_to_wait_does_not_keep_another_from_being_done() -> None:
    pipes = [os.pipe(), os.pipe()]  # which the C library reads too, whatever the place
    reads = [BufferRead(memoryview(bytearray(5))) for _ in pipes]
    for read, (end, _) in zip(reads, pipes, strict=True):
        read.begin(end, start=0, size_bytes=5)

    os.write(pipes[1][1], b"later")
    wait_for_any(reads)
    done = [read.is_done for read in reads]
    os.write(pipes[0][1], b"first")

    assert [False, True] == done
    assert [5, 5] == [result(read) for read in reads]
    for end in (end for pipe in pipes for end in pipe):
        os.close(end)


def test_what_the_system_refuses_is_its_error() -> None:
    read = BufferRead(memoryview(bytearray(10)))

    read.begin(2**30, start=0, size_bytes=10)  # no descriptor is so large

    with pytest.raises(OSError, match="Bad file descriptor"):
        result(read)


def test_chunks_that_lie_one_behind_the_other_are_the_same_memory_joined() -> None:
    memory = memoryview(bytearray(range(100)))

    whole = joined([memory[10:20], memory[20:21], memory[21:50]])
    whole[39] = 255

    assert memory[10:50] == whole
    assert 255 == memory[49]


@pytest.mark.parametrize("second", [slice(11, 20), slice(9, 20), slice(0, 10)])
def test_chunks_that_do_not_are_the_callers_mistake(second: slice) -> None:
    memory = memoryview(bytearray(100))

    with pytest.raises(ValueError, match="one behind the other"):
        joined([memory[:10], memory[second]])


def test_a_buffer_that_cannot_be_written_is_the_callers_mistake() -> None:
    with pytest.raises(TypeError, match="not writable"):
        BufferRead(memoryview(b"fixed"))


def test_threads_are_no_more_than_the_processor_has(descriptor: int) -> None:
    before = len(os.listdir("/proc/self/task"))
    descriptors = [os.dup(descriptor) for _ in range(50)]
    reads = [BufferRead(memoryview(bytearray(1000))) for _ in descriptors]

    for duplicate, read in zip(descriptors, reads, strict=True):
        read.begin(duplicate, start=0, size_bytes=1000)
    now = len(os.listdir("/proc/self/task"))

    assert [1000] * 50 == [result(read) for read in reads]
    assert now - before <= len(os.sched_getaffinity(0))
    for duplicate in descriptors:
        os.close(duplicate)
