"""The one thread that owns the device."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from domain.errors import WorkerError

if TYPE_CHECKING:
    from domain.engine import Engine

T = TypeVar("T")

_IDLE_S = 60.0


class InferenceThread:
    """Runs calls in order, and between them the engine. `call` and `wake` may be used from any thread."""

    def __init__(self) -> None:
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._calls: deque[Callable[[], None]] = deque()
        self._engine: Engine | None = None
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], T]) -> "Future[T]":
        """Run `function` in the thread, before the next step; its result or exception is the future's."""
        future: Future[T] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)

        self._calls.append(run)
        self.wake()
        return future

    def serve(self, engine: "Engine") -> None:
        """Run `engine` from now on."""
        self._engine = engine
        self.wake()

    def wake(self) -> None:
        """There is something to do."""
        self._wake.set()

    def stop(self, timeout_s: float) -> bool:
        """End the thread after the call or step it is in; false where it did not end in time."""
        self._stopping.set()
        self.wake()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()  # before the work: what arrives meanwhile sets it again
            while self._calls:
                self._calls.popleft()()
            if not self._tick():
                engine = self._engine
                self._wake.wait(engine.seconds_to_next_check() if engine else _IDLE_S)

    def _tick(self) -> bool:
        engine = self._engine
        if engine is None:
            return False
        try:
            return engine.tick()
        except Exception as error:  # the engine's boundary: a defect costs the jobs, not the worker
            with suppress(Exception):  # closing a sequence may fail as well; its own job is ended by then
                engine.fail_all(WorkerError(f"internal error ({type(error).__name__})"))
            return True
