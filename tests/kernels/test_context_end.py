"""The end of a context, wanted or not. Each in a process of its own: the tests share theirs."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.gpu

ROOT = Path(__file__).parents[2]


def lines_of(program: str) -> list[str]:
    command = [sys.executable, "-m", f"tests.kernels.{program}"]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return finished.stdout.splitlines()


@pytest.mark.req("M0-W-1501", "M0-W-1401")
def test_after_a_trap_everything_says_that_the_device_is_lost_and_closing_works() -> None:
    lines = lines_of("lost_context")
    used, closed = lines[1:9], lines[9:]

    assert "trap: done" == lines[0]
    assert [
        f"{name}: DeviceLost"
        for name in "synchronize launch graph allocate copy record free_bytes residency".split()
    ] == used
    assert [
        f"{name}: done"
        for name in (
            "close graph",
            "close event",
            "close pinned",
            "close stream",
            "close memory",
            "close context",
            "close again",
        )
    ] == closed


@pytest.mark.req("M0-W-1401")
def test_closing_the_context_frees_what_was_left_and_the_device_opens_again() -> None:
    first, second, third = map(int, lines_of("fresh_context"))

    assert first == second == third
