"""Standard input, output and error where they are closed, broken or full."""

import os
import signal
import sys
from collections.abc import Callable
from typing import TextIO


def open_missing() -> None:
    """Open what the caller has closed, as /dev/null. Otherwise the next file would take its place.

    Called before any other file is opened: each then gets the lowest number, its own.
    """
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115 for as long as the process lives
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 as above
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 as above


def answering_for_output(run: Callable[[], int]) -> int:
    """`run`, and write all that it has printed. Returns its exit status, or one for output that is lost.

    Whose reader has left hears nothing more, and gets the status of a program that SIGPIPE ends; any other
    failure is a line on standard error and 1.
    """
    try:
        try:
            return run()
        finally:
            sys.stdout.flush()  # also after --help; later the interpreter would do it, with a traceback
    except BrokenPipeError:
        _discard(sys.stdout)
        return 128 + signal.SIGPIPE
    except OSError as error:
        _discard(sys.stdout)
        try:
            print(f"worker-orcd: {error}", file=sys.stderr)  # noqa: T201 for the person
        except OSError:  # as full, or the one that was meant
            _discard(sys.stderr)
        return 1


def _discard(stream: TextIO) -> None:
    """Let what is left in its buffer go to /dev/null: the interpreter tries to write it again at the end."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
