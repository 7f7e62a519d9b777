"""Tensors read in the background."""

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from adapters_outbound.gguf.model_file import GgufModelFile
from adapters_outbound.posix_aio import BufferRead
from domain.errors import ModelLoadFailed
from tests.adapters_outbound.gguf.gguf_bytes import GgufBytes, every_feature, tensor
from tests.adapters_outbound.gguf.large_file import MIB, large_file, mapped_file_bytes

pytestmark = pytest.mark.req("M0-W-1221")

Open = Callable[[bytes], GgufModelFile]

DATA = os.urandom(4800)


@pytest.fixture
def file(open_bytes: Open) -> GgufModelFile:
    return open_bytes(GgufBytes(tensors=[tensor(dims=(1200,))], data=DATA).build())


def test_memory_is_filled_with_the_stored_bytes(open_bytes: Open) -> None:
    file = open_bytes(every_feature().build())
    memory = bytearray(b"-" * 6)

    with closing(file.background_reads()) as reads:
        read = reads.into([memoryview(memory)[1:5]])
        read.begin(file.tensors["q4_0"], offset_bytes=68, size_bytes=4)
        taken = reads.take()

    assert taken is read
    assert b"-" + bytes([100, 101, 102, 103]) + b"-" == bytes(memory)


def test_many_are_under_way_and_each_is_taken_once(file: GgufModelFile) -> None:
    memories = [bytearray(200) for _ in range(24)]
    found = {}

    with closing(file.background_reads()) as reads:
        begun = {reads.into([memoryview(memory)]): 200 * i for i, memory in enumerate(memories)}
        for read, offset in begun.items():
            read.begin(file.tensors["w"], offset_bytes=offset, size_bytes=200)
        for _ in begun:
            offset = begun[reads.take()]
            found[offset] = bytes(memories[offset // 200])

    assert DATA == b"".join(found[offset] for offset in sorted(found))


@pytest.mark.parametrize("chunk_bytes", [1, 7, 300, 1000, 1200])
def test_chunks_are_filled_one_after_the_other(file: GgufModelFile, chunk_bytes: int) -> None:
    memory = memoryview(bytearray(b"-" * 1200))
    chunks = [memory[start : start + chunk_bytes] for start in range(0, 1200, chunk_bytes)]

    with closing(file.background_reads()) as reads:
        read = reads.into(chunks)
        read.begin(file.tensors["w"], offset_bytes=13, size_bytes=1000)
        reads.take()

    assert DATA[13:1013] + b"-" * 200 == memory


def test_all_chunks_are_one_request(file: GgufModelFile, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    whole = BufferRead.begin

    def begin(read: BufferRead, descriptor: int, *, start: int, size_bytes: int) -> None:
        sizes.append(size_bytes)
        whole(read, descriptor, start=start, size_bytes=size_bytes)

    monkeypatch.setattr(BufferRead, "begin", begin)
    memory = memoryview(bytearray(1000))
    with closing(file.background_reads()) as reads:
        read = reads.into([memory[start : start + 100] for start in range(0, 1000, 100)])
        read.begin(file.tensors["w"], offset_bytes=0, size_bytes=950)
        reads.take()

    assert [950] == sizes


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one processor, one thread that reads")
def test_whichever_is_done_first_is_taken_first(file: GgufModelFile, monkeypatch: pytest.MonkeyPatch) -> None:
    pipes = [os.pipe(), os.pipe()]
    ends = iter(end for end, _ in pipes)
    monkeypatch.setattr(os, "dup", lambda _descriptor: next(ends))  # a file that lets a read wait
    with closing(file.background_reads()) as reads:
        begun = [reads.into([memoryview(bytearray(10))]) for _ in pipes]
        for read in begun:
            read.begin(file.tensors["w"], offset_bytes=0, size_bytes=10)
        taken = []
        for _, end in reversed(pipes):
            os.write(end, bytes(10))
            taken.append(reads.take())
            os.close(end)

    assert begun[::-1] == taken


def test_one_is_begun_again_when_it_was_taken(file: GgufModelFile) -> None:
    memory = bytearray(100)

    with closing(file.background_reads()) as reads:
        read = reads.into([memoryview(memory)])
        for offset in range(0, 4800, 100):
            read.begin(file.tensors["w"], offset_bytes=offset, size_bytes=100)
            assert reads.take() is read
            assert DATA[offset : offset + 100] == bytes(memory)


@pytest.mark.parametrize("most_at_once", [0, 1, 7, 999])
def test_what_comes_in_parts_comes_whole(
    file: GgufModelFile, monkeypatch: pytest.MonkeyPatch, most_at_once: int
) -> None:
    whole_begin, whole_preadv = BufferRead.begin, os.preadv

    def begin(read: BufferRead, descriptor: int, *, start: int, size_bytes: int) -> None:
        """As the system, which may always read less than it was asked to."""
        whole_begin(read, descriptor, start=start, size_bytes=min(size_bytes, most_at_once))

    def preadv(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        return whole_preadv(descriptor, [buffers[0][: most_at_once or 5]], offset)

    monkeypatch.setattr(BufferRead, "begin", begin)
    monkeypatch.setattr(os, "preadv", preadv)
    memory = bytearray(b"-" * 1001)
    chunks = [memoryview(memory)[:400], memoryview(memory)[400:]]

    with closing(file.background_reads()) as reads:
        reads.into(chunks).begin(file.tensors["w"], offset_bytes=13, size_bytes=1000)
        reads.take()

    assert DATA[13:1013] + b"-" == bytes(memory)


@pytest.mark.parametrize(("offset", "size"), [(0, 4801), (4800, 1), (-1, 4), (4, -1), (2**63, 1)])
def test_a_range_outside_the_tensor_is_the_callers_mistake(
    file: GgufModelFile, offset: int, size: int
) -> None:
    with closing(file.background_reads()) as reads, pytest.raises(ValueError, match="not inside w"):
        reads.into([memoryview(bytearray(5000))]).begin(
            file.tensors["w"], offset_bytes=offset, size_bytes=size
        )


def test_more_than_the_chunks_take_is_the_callers_mistake(file: GgufModelFile) -> None:
    with closing(file.background_reads()) as reads:
        read = reads.into([memoryview(bytearray(10))])
        with pytest.raises(ValueError, match="11 bytes into chunks of 10"):
            read.begin(file.tensors["w"], offset_bytes=0, size_bytes=11)


@pytest.mark.req("M0-W-1222")
def test_nothing_of_the_file_is_mapped(tmp_path: Path) -> None:
    file = large_file(tmp_path / "m.gguf", 64 * MIB)
    before = mapped_file_bytes()

    with closing(file.background_reads()) as reads:
        read = reads.into([memoryview(bytearray(MIB))])
        for offset in range(0, 64 * MIB, MIB):
            read.begin(file.tensors["w"], offset_bytes=offset, size_bytes=MIB)
            reads.take()

    assert mapped_file_bytes() - before < MIB
    file.close()


@pytest.mark.req("M0-W-1111")
def test_when_they_are_closed_no_memory_is_written_to_any_more(file: GgufModelFile) -> None:
    before = len(os.listdir("/proc/self/fd"))
    memories = [bytearray(200) for _ in range(24)]

    reads = file.background_reads()
    for i, memory in enumerate(memories):
        reads.into([memoryview(memory)]).begin(file.tensors["w"], offset_bytes=200 * i, size_bytes=200)
    while_open = len(os.listdir("/proc/self/fd"))
    reads.close()
    reads.close()

    assert DATA == b"".join(memories)  # what was begun has ended
    assert before == len(os.listdir("/proc/self/fd"))
    assert 24 == while_open - before  # one for each, or they were made in turn


@pytest.mark.req("M0-W-1210")
def test_a_file_that_was_cut_is_an_error_that_says_so(tmp_path: Path) -> None:
    file = large_file(tmp_path / "m.gguf", 4 * MIB)
    os.truncate(file.path, 2 * MIB)

    with closing(file.background_reads()) as reads:
        reads.into([memoryview(bytearray(MIB))]).begin(
            file.tensors["w"], offset_bytes=3 * MIB // 2, size_bytes=MIB
        )
        with pytest.raises(ModelLoadFailed, match=f"as when it was opened, got {2 * MIB}"):
            reads.take()
    file.close()


@pytest.mark.req("M0-W-1210")
def test_a_file_that_cannot_be_read_is_an_error_that_says_why(
    file: GgufModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_read: BufferRead) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(BufferRead, "result", fail)
    with closing(file.background_reads()) as reads:
        for _ in range(3):
            reads.into([memoryview(bytearray(10))]).begin(file.tensors["w"], offset_bytes=0, size_bytes=10)
        with pytest.raises(ModelLoadFailed, match=r"expected a readable file, got \[Errno 5\] Input/output"):
            reads.take()


def test_too_few_descriptors_are_an_error_that_says_so(
    file: GgufModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int) -> int:
        raise OSError(24, "Too many open files")

    with closing(file.background_reads()) as reads:
        reads.into([memoryview(bytearray(10))])
        monkeypatch.setattr(os, "dup", fail)
        with pytest.raises(ModelLoadFailed, match="Too many open files"):
            reads.into([memoryview(bytearray(10))])
