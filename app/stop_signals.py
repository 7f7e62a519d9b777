"""What asks for an orderly end: SIGTERM, SIGINT or `POST /shutdown`. A second signal ends at once."""

import asyncio
import os
import signal
from collections.abc import Callable


class StopSignals:
    """Handles the signals of this process for as long as the loop runs.

    Only a second signal is a sign of lost patience. A signal after a request is none: who shuts a worker down
    by HTTP may send SIGTERM afterwards as a matter of routine, as Kubernetes does after a `preStop` hook, and
    the job that was to finish must not pay for it.

    Args:
        loop: that runs.
        on_request: called once, at the first that asks.
        on_abort: called before the second signal ends the process.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        on_request: Callable[[], None],
        on_abort: Callable[[], None],
    ) -> None:
        self._on_request = on_request
        self._on_abort = on_abort
        self._requested = asyncio.Event()
        self._is_signalled = False
        self.reason = ""
        self.correlation_id: str | None = None  # of the request, where a request was the reason
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._handle, number)

    @property
    def requested(self) -> bool:
        return self._requested.is_set()

    async def wait(self) -> None:
        """Return once an end has been asked for."""
        await self._requested.wait()

    def request(self, reason: str, *, correlation_id: str | None = None) -> None:
        """Ask for an orderly end. Idempotent: the first reason stays."""
        if not self.requested:
            self.reason, self.correlation_id = reason, correlation_id
            self._requested.set()
            self._on_request()

    def _handle(self, number: signal.Signals) -> None:
        if self._is_signalled:
            self._on_abort()
            os._exit(128 + number)  # the person or supervisor has lost patience: no clean-up
        self._is_signalled = True
        self.request(number.name)
