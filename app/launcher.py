"""Start a real worker process, wait until it serves, and end it: for the demo, the tools and the tests."""

import json
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

from app.client import WorkerClient

_STOP_TIMEOUT_S = 40.0

Narration = dict[str, Any]


class WorkerDidNotStart(Exception):
    """The process ended before it was ready; the message is what it said."""


class WorkerProcessHandle:
    """A worker process as a context manager: ready inside, gone and reaped outside.

    Args:
        arguments: of the `worker-orcd` command; worker id, device 0 and a free port unless given.
        on_narration: called with every event as it is told, from another thread. If it raises, it hears no
            more, and the error is raised again on the way in or out, once the worker has been stopped.
        make_client: makes a client of the worker at that base URL.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        on_narration: Callable[[Narration], None] = lambda _: None,
        make_client: Callable[[str], WorkerClient] = WorkerClient,
    ) -> None:
        self._arguments = list(arguments)
        self._on_narration = on_narration
        self._make_client = make_client
        self._ready = threading.Event()
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="reader")
        self._errors: list[str] = []
        self.narration: list[Narration] = []
        self.base_url = ""

    @property
    def client(self) -> WorkerClient:
        return self._make_client(self.base_url)

    @property
    def pid(self) -> int:
        return self._process.pid

    def events(self, name: str) -> list[Narration]:
        """What has been narrated so far under `name`."""
        return [narration for narration in self.narration if narration["event"] == name]

    def __enter__(self) -> "WorkerProcessHandle":
        self._process = subprocess.Popen(  # noqa: S603 our own interpreter and module
            [sys.executable, "-m", "app", *self._defaults(), *self._arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"LLORCH_LOG_FORMAT": "json"},
            start_new_session=True,  # Ctrl-C reaches the one who launched, who then ends the worker in order
        )
        try:
            self._reading: Future[None] = self._readers.submit(self._read_narration)
            self._readers.submit(self._read_errors)
            self._ready.wait()
        except BaseException:
            self.stop()
            raise
        if not self.base_url:
            self.stop()
            self._reading.result()
            raise WorkerDidNotStart("".join(self._errors).strip() or f"exit status {self.returncode}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if error is None:
            self._reading.result()

    @property
    def returncode(self) -> int | None:
        return self._process.poll()

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def wait(self, timeout_s: float = _STOP_TIMEOUT_S) -> int:
        """Wait for the process to end by itself; its exit status."""
        return self._process.wait(timeout_s)

    def stop(self) -> int:
        """Ask the process to end, wait for it, and return its exit status. Idempotent."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            status = self._process.wait(_STOP_TIMEOUT_S)
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise
        self._readers.shutdown()
        return status

    def _defaults(self) -> list[str]:
        defaults = {"--worker-id": str(uuid.uuid4()), "--gpu-device": "0", "--port": "0"}
        return [
            word for flag, value in defaults.items() if flag not in self._arguments for word in (flag, value)
        ]

    def _read_narration(self) -> None:
        assert self._process.stdout is not None
        try:
            with self._process.stdout as lines:
                for line in lines:
                    self._take(json.loads(line))
        finally:
            self._ready.set()  # the process has ended, or nobody listens to it any more

    def _take(self, narration: Narration) -> None:
        self.narration.append(narration)
        self._on_narration(narration)
        if narration["event"] == "ready":
            self.base_url = narration["uri"]
            self._ready.set()

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            self._errors.extend(lines)
