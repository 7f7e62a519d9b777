"""Lines on their way to a reader who may not read."""

import os
import queue
import select
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

_MAX_LINES = 10_000


class LineWriter:
    """Writes lines in order, in a thread of its own: `write` never waits for the reader.

    Not through Python's own stream, whose lock a thread that hangs in a write would keep to the end. A line
    of up to 4 KiB reaches a pipe whole or not at all.

    Args:
        descriptor: that is written to; it stays open.
        on_lost: told by the thread how many lines found no room, once there is room again; it may `write`.
        max_lines: that wait; once half of them are gone, there is room again.
    """

    def __init__(
        self,
        descriptor: int,
        *,
        on_lost: Callable[[int], None] = lambda _: None,
        max_lines: int = _MAX_LINES,
    ) -> None:
        self._descriptor = descriptor
        self._on_lost = on_lost
        self._max_lines = max_lines
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()  # None: end once it is empty
        self._num_lost = 0
        self._counting = threading.Lock()
        self._is_broken = False
        # Nobody waits for it at exit: `close` has waited for as long as is right.
        self._thread = threading.Thread(target=self._run, name="narration", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Have `line`, which ends with a line end, written; where too many wait, it is lost. Any thread."""
        # What follows a lost line is lost as well until that can be told: the gap stays in one place.
        if self._num_lost == 0 and self._lines.qsize() < self._max_lines:
            self._lines.put(line)
            return
        with self._counting:
            self._num_lost += 1

    def close(self, timeout_s: float) -> None:
        """Let what waits be written, for `timeout_s` at most. Idempotent."""
        self._lines.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        is_closing = False
        while not (is_closing and self._lines.empty()):  # telling what was lost may add a line
            line = self._lines.get()
            if line is None:
                is_closing = True
            else:
                self._write_out(line.encode(errors="replace"))
            if is_closing or self._lines.qsize() <= self._max_lines // 2:
                self._tell_lost()

    def _tell_lost(self) -> None:
        with self._counting:
            num_lost, self._num_lost = self._num_lost, 0
        if num_lost:
            self._on_lost(num_lost)

    def _write_out(self, line: bytes) -> None:
        try:
            while line:
                try:
                    line = line[os.write(self._descriptor, line) :]
                except BlockingIOError:  # whoever shares the descriptor has made it so
                    select.select([], [self._descriptor], [])
            self._is_broken = False
        except OSError as error:
            self._complain(error)

    def _complain(self, error: OSError) -> None:
        """Say once that the reader is gone; the worker goes on."""
        if not self._is_broken and sys.stderr is not None:
            with suppress(OSError):  # it may be the very same
                os.write(sys.stderr.fileno(), f"worker-orcd: the log cannot be written: {error}\n".encode())
        self._is_broken = True
