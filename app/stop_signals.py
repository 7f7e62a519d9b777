"""SIGTERM and SIGINT: the first asks for an orderly end, the second ends at once."""

import asyncio
import os
import signal


class StopSignals:
    """Handles the signals of this process for as long as the loop runs."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._requested = asyncio.Event()
        self.name = ""
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._handle, number)

    @property
    def requested(self) -> bool:
        return self._requested.is_set()

    async def wait(self) -> None:
        """Return once the first signal has come."""
        await self._requested.wait()

    def _handle(self, number: signal.Signals) -> None:
        if self.requested:
            os._exit(128 + number)  # the person or supervisor has lost patience: no clean-up
        self.name = number.name
        self._requested.set()
