"""One job's events on their way from the inference thread to the event loop."""

import asyncio
import threading
from contextlib import suppress

from ports.job_events import JobEvent, TokenText

MAX_BUFFERED_EVENTS = 64


class JobEventStream:
    """An `EventSink` that the event loop reads in batches.

    The inference thread publishes and never waits for a reader. While `MAX_BUFFERED_EVENTS` lie unread, the
    text and ids of each further token are added to the last token in the buffer: a slow reader gets fewer and
    longer tokens, loses nothing, and costs no more memory than its job's token limit allows.

    One wake-up of the loop is under way at a time; what is published until the reader comes travels with it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()  # held for a few instructions, never across a wait
        self._events: list[JobEvent] = []
        self._waking = False
        self._ready = asyncio.Event()
        self._closed = False

    def publish(self, event: JobEvent) -> None:
        with self._lock:
            if self._closed:
                return
            self._append(event)
            if self._waking:
                return
            self._waking = True
        try:
            self._loop.call_soon_threadsafe(self._ready.set)
        except RuntimeError:
            self._closed = True  # the loop is gone, and every reader with it

    async def take(self, *, timeout_s: float) -> list[JobEvent]:
        """Wait for events and take all there are. Empty after `timeout_s` of silence, or once closed."""
        events = self._drain()
        if not events:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    while not (events or self._closed):
                        await self._ready.wait()  # perhaps for a wake-up whose events have been taken already
                        events = self._drain()
        return events

    def close(self) -> None:
        """Nobody reads any more: wake the reader, forget what comes. Event loop only."""
        self._closed = True
        self._ready.set()

    def _drain(self) -> list[JobEvent]:
        with self._lock:
            if self._ready.is_set() and not self._closed:  # the wake-up has arrived: there may be another
                self._waking = False
                self._ready.clear()
            events, self._events = self._events, []
            return events

    def _append(self, event: JobEvent) -> None:
        last = self._events[-1] if self._events else None
        full = len(self._events) >= MAX_BUFFERED_EVENTS
        if full and isinstance(event, TokenText) and isinstance(last, TokenText):
            self._events[-1] = TokenText(last.text + event.text, last.token_ids + event.token_ids)
        else:
            self._events.append(event)
