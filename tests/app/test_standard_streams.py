"""Standard streams that are closed, broken or full: a line or nothing, and never a traceback."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from importlib.resources import files

import pytest

MODEL = str(files("app.models") / "haiku-q4_k_m.gguf")
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
COMMANDS = [
    ["--help"],
    ["--version"],
    ["--version", "--verbose"],
    ["tokenize", "--help"],
    ["tokenize", MODEL, "a"],
]


def run(arguments: Sequence[str], redirection: str) -> "subprocess.CompletedProcess[str]":
    """Run the command from a shell, with its standard streams redirected so."""
    command = ["/bin/sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-m", "app", *arguments]
    return subprocess.run(command, env=BUFFERED, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_an_output_that_is_full_is_a_line_and_status_1(arguments: list[str]) -> None:
    finished = run(arguments, "> /dev/full")

    assert (1, "worker-orcd: [Errno 28] No space left on device\n") == (finished.returncode, finished.stderr)


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_reader_that_has_left_ends_the_command_in_silence(arguments: list[str]) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    finished = subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        env=BUFFERED,
        stdout=theirs,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(theirs)

    assert (128 + signal.SIGPIPE, b"") == (finished.returncode, finished.stderr)


@pytest.mark.parametrize("redirection", [">&-", "<&- >&-"])
@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_closed_output_takes_what_is_written(arguments: list[str], redirection: str) -> None:
    finished = run(arguments, redirection)

    assert (0, "", "") == (finished.returncode, finished.stdout, finished.stderr)


def test_a_closed_input_is_empty() -> None:
    finished = run(["tokenize", MODEL], "<&-")

    assert (0, "\n", "") == (finished.returncode, finished.stdout, finished.stderr)


@pytest.mark.parametrize("redirection", ["2>&-", "2> /dev/full", ">&- 2>&-"])
def test_what_is_wrong_is_in_the_status_where_it_cannot_be_said(redirection: str) -> None:
    finished = run(["tokenize", "/nowhere", "a"], redirection)

    assert (1, "") == (finished.returncode, finished.stdout)
