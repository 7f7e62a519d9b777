"""What a person sees while a model loads: a bar on a terminal, nothing in a pipe."""

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path


def run_until_ready(model: Path, stderr: int) -> None:
    """Start a worker, wait for its `ready`, end it."""
    command = [sys.executable, "-m", "app", "--model", str(model), "--backend", "fake", "--port", "0"]
    command += ["--worker-id", "0b0c7a30-0000-4000-8000-000000000000", "--gpu-device", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        assert any('"event":"ready"' in line for line in process.stdout)
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(20)


def test_a_terminal_shows_a_progress_bar(tiny_model: Path) -> None:
    ours, theirs = pty.openpty()
    try:
        run_until_ready(tiny_model, theirs)
        shown = os.read(ours, 2**16).decode()
    finally:
        os.close(ours)
        os.close(theirs)

    assert "loading the model" in shown
    assert "━" in shown


def test_a_pipe_sees_nothing(tiny_model: Path) -> None:
    ours, theirs = os.pipe()
    try:
        run_until_ready(tiny_model, theirs)
        os.close(theirs)
        shown = os.read(ours, 2**16)
    finally:
        os.close(ours)

    assert b"" == shown
