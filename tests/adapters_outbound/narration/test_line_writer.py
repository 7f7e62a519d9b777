"""Lines for a reader who reads, reads late, or is gone."""

import os
import time

import pytest

from adapters_outbound.narration.line_writer import LineWriter
from tests.support.full_pipe import FullPipe

TIMEOUT_S = 20.0


def numbered(numbers: range) -> str:
    return "".join(f"{number}\n" for number in numbers)


def test_what_was_written_before_the_end_arrives_in_order() -> None:
    theirs, ours = os.pipe()
    writer = LineWriter(ours)
    for number in range(1000):
        writer.write(f"{number}\n")
    writer.close(TIMEOUT_S)
    writer.close(TIMEOUT_S)
    os.close(ours)
    with open(theirs) as reader:
        assert numbered(range(1000)) == reader.read()


def test_nobody_waits_for_a_reader_and_what_finds_no_room_is_counted_where_it_is_missing() -> None:
    with FullPipe() as pipe:
        writer = LineWriter(pipe.ours, on_lost=lambda lost: writer.write(f"lost {lost}\n"), max_lines=3)
        for number in range(10):  # three wait, and one may be being written
            writer.write(f"{number}\n")
        lines = pipe.read_all(writer).splitlines()

    kept = len(lines) - 1

    assert kept in (3, 4)
    assert [*map(str, range(kept)), f"lost {10 - kept}"] == lines


def test_once_there_is_room_lines_are_written_again() -> None:
    with FullPipe() as pipe:
        writer = LineWriter(pipe.ours)
        writer.write("before\n")
        os.set_blocking(pipe.ours, False)  # as another process that shares it may do
        writer.write("after\n")

        assert "before\nafter\n" == pipe.read_all(writer)


def test_a_reader_that_does_not_read_holds_up_the_end_for_a_bounded_time() -> None:
    with FullPipe() as pipe:
        writer = LineWriter(pipe.ours)
        writer.write("x\n")
        started_at_s = time.monotonic()
        writer.close(0.05)
        waited_s = time.monotonic() - started_at_s

        assert 0.05 <= waited_s < 5
        assert "x\n" == pipe.read_all(writer)


def test_a_reader_that_is_gone_is_told_of_once_and_holds_up_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    theirs, ours = os.pipe()
    os.close(theirs)
    writer = LineWriter(ours)
    for number in range(3):
        writer.write(f"{number}\n")
    writer.close(TIMEOUT_S)
    os.close(ours)

    assert "worker-orcd: the log cannot be written: [Errno 32] Broken pipe\n" == capfd.readouterr().err
