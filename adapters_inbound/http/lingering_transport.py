"""A connection's end that does not take the last answer with it."""

import asyncio
from typing import Any


class LingeringTransport(asyncio.Transport):
    """A transport that closes in two steps (RFC 9112 §9.6).

    A socket closed with bytes unread resets the connection, and the reset overtakes what the client has not
    read yet. So the writing half is closed first, and what still comes is dropped until the client closes its
    half or has had its time and its bytes.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        *,
        linger_s: float,
        max_linger_bytes: int,
    ) -> None:
        super().__init__()
        self.lingers = True  # False: `close` waits for no client
        self._transport = transport
        self._loop = loop
        self._linger_s = linger_s
        self._max_linger_bytes = max_linger_bytes
        self._timer: asyncio.TimerHandle | None = None

    def close(self) -> None:
        """Close once everything is written; a second call no longer waits for the client."""
        if self._timer is not None or not self.lingers or self._transport.is_closing():
            self._transport.close()
            return
        self._timer = self._loop.call_later(self._linger_s, self._transport.abort)
        self._transport.resume_reading()
        self._transport.write_eof()

    def drop(self, num_bytes: int) -> None:
        """Count what came after `close`."""
        self._max_linger_bytes -= num_bytes
        if self._max_linger_bytes < 0:
            self._transport.abort()

    def lost(self) -> None:
        """Forget the timer of a connection that is gone."""
        if self._timer is not None:
            self._timer.cancel()

    def is_closing(self) -> bool:
        return self._timer is not None or self._transport.is_closing()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self.is_closing():
            self._transport.write(data)

    def abort(self) -> None:
        self._transport.abort()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)
