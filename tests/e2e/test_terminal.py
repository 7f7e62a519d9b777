"""What a person sees while a model loads: a bar on a terminal, nothing in a pipe."""

import os
import pty
import signal
import subprocess


def run_until_ready(command: list[str], stderr: int) -> None:
    """Start a worker, wait for its `ready`, end it."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process:
        assert process.stdout is not None
        assert any('"event":"ready"' in line for line in process.stdout)
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(20)


def test_a_terminal_shows_a_progress_bar(command: list[str]) -> None:
    ours, theirs = pty.openpty()
    try:
        run_until_ready(command, theirs)
        shown = os.read(ours, 2**16).decode()
    finally:
        os.close(ours)
        os.close(theirs)

    assert "loading the model" in shown
    assert "━" in shown


def test_a_pipe_sees_nothing(command: list[str]) -> None:
    ours, theirs = os.pipe()
    try:
        run_until_ready(command, theirs)
        os.close(theirs)
        shown = os.read(ours, 2**16)
    finally:
        os.close(ours)

    assert b"" == shown
