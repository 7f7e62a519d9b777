"""One connection, with the limits that uvicorn lacks."""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any, NoReturn

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from adapters_inbound.http.close_delimited import close_delimited
from adapters_inbound.http.error_reply import protocol_error
from adapters_inbound.http.lingering_transport import LingeringTransport
from adapters_inbound.http.request_head import Refusal, head_refusal, head_without_upgrade
from ports.ids import Ids


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one connection may cost."""

    head_timeout_s: float = 30.0  # from connecting, or from a request's first byte, to the end of its headers
    max_head_bytes: int = 32 * 1024  # target, header names and values; trailers count as well
    keep_alive_s: float = 75.0  # between two requests
    max_pipelined: int = 64  # requests waiting behind the one being answered
    linger_s: float = 10.0  # from the last answer to the client's own end
    max_linger_bytes: int = 64 * 2**20  # what it may send meanwhile, to be dropped


# What of a line is not counted once it is read whole: a head may be as large in pieces as in one.
_PUNCTUATION_BYTES = 16
_TOO_LARGE = Refusal(431, "the headers are too large")
_TOO_MANY = Refusal(400, "too many requests wait for their answers on this connection")


class HeadRefused(Exception):
    """Stops the parser. New for every raise: its traceback holds the connection, and all that it has read."""


class ConnectionGuard(HttpToolsProtocol):
    """uvicorn's protocol, bounded.

    - A head that takes too long closes the connection; one that grows too large is answered with 431.
    - More requests than keep a connection busy are refused: one read from the socket brings thousands.
    - What cannot be parsed is answered in the worker's envelope, after the requests before it and never into
      the middle of a response.
    - The last answer on a connection arrives, even if the client is still sending.
    - A lost connection is reported to every request on it. uvicorn tells only the latest, so a stream with a
      pipelined request behind it would run on for nobody.
    """

    transport: LingeringTransport

    def __init__(self, *, limits: ConnectionLimits, ids: Ids, **uvicorn_arguments: Any) -> None:
        super().__init__(**uvicorn_arguments)
        self._limits = limits
        self._ids = ids
        self._in_head = False
        self._head_bytes = 0
        self._line_bytes = 0  # read since the parser last had something to tell
        self._head_timer: asyncio.TimerHandle | None = None
        self._refusal: Refusal | None = None
        self._unanswered: deque[RequestResponseCycle] = deque()  # in order; the first is being answered

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn
        super().connection_made(
            LingeringTransport(
                transport,
                self.loop,
                linger_s=self._limits.linger_s,
                max_linger_bytes=self._limits.max_linger_bytes,
            )
        )
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_watching()
        self.transport.lost()
        for cycle in self._unanswered:
            self._give_up(cycle)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            self.transport.drop(len(data))
            return
        if self._refusal is not None:
            return  # nothing that follows has a meaning
        self._line_bytes += len(data)
        self._unset_keepalive_if_required()
        self._parse(data)
        if self._line_grows_too_long():
            self._end_with(_TOO_LARGE)
        self._watch_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"]["abort_connection"] = self.transport.abort
        self._in_head = True
        self._head_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        if self._in_head:  # a trailer is no header: it comes when the request has been judged
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._line_bytes = 0
        if self._offers_upgrade():
            return  # the same head follows without the offer
        version = self.parser.get_http_version()
        refusal = head_refusal(version, self.headers)
        if refusal is not None:
            self._refuse(refusal)
        if version == "1.0":
            self.expect_100_continue = False  # it knows no interim answers
        if len(self._unanswered) > self._limits.max_pipelined:
            self._refuse(_TOO_MANY)
        super().on_headers_complete()
        if self.parser.should_upgrade():
            self.cycle.keep_alive = False  # CONNECT: the parser reads nothing of what follows
        self._unanswered.append(self.cycle)
        self.flow.resume_reading()  # uvicorn stops reading here, and with it noticing a disconnect

    def on_message_complete(self) -> None:
        if not self._offers_upgrade():
            super().on_message_complete()

    def on_body(self, body: bytes) -> None:
        self._line_bytes = 0
        super().on_body(body)

    def on_response_complete(self) -> None:
        self._unanswered.popleft()
        super().on_response_complete()
        self._send_refusal()

    def send_400_response(self, msg: str) -> None:
        """Answer what could not be parsed, and close."""
        self._end_with(Refusal(400, msg))

    def shutdown(self) -> None:
        """End after the answer being given, or now; wait for no client."""
        self.transport.lingers = False
        if self.transport.is_closing():
            self.transport.close()
        else:
            super().shutdown()

    def timeout_keep_alive_handler(self) -> None:
        self.transport.abort()  # `close` would wait for a client that may never read its last response

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        is_old = cycle.scope["http_version"] == "1.0"
        super()._start_asgi_task(cycle, close_delimited(app, cycle) if is_old else app)

    def _count(self, num_bytes: int) -> None:
        self._line_bytes = 0
        self._head_bytes += num_bytes
        if self._head_bytes > self._limits.max_head_bytes:
            self._refuse(_TOO_LARGE)

    def _parse(self, data: bytes) -> None:
        """Feed the parser, which takes what follows an offered upgrade for another protocol, even a body.

        So it is given the head again without the offer, which is nobody's duty to take (RFC 9110 §7.8).
        """
        while True:
            try:
                self.parser.feed_data(data)
            except HttpParserUpgrade as upgrade:
                if self._offers_upgrade():
                    data = self._again_without_upgrade() + data[upgrade.args[0] :]
                    continue
            except HttpParserError:
                self.send_400_response("Invalid HTTP request received.")
            return

    def _offers_upgrade(self) -> bool:
        return self.parser.should_upgrade() and any(name == b"upgrade" for name, _ in self.headers)

    def _again_without_upgrade(self) -> bytes:
        method, version = self.parser.get_method(), self.parser.get_http_version()
        self.parser = HttpRequestParser(self)  # the old one will have no more after `Connection: close`
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn
        return head_without_upgrade(method, self.url, version, self.headers)

    def _line_grows_too_long(self) -> bool:
        counted_bytes = self._head_bytes if self._in_head else 0
        return counted_bytes + self._line_bytes > self._limits.max_head_bytes + _PUNCTUATION_BYTES

    def _refuse(self, refusal: Refusal) -> NoReturn:
        self._refusal = refusal
        raise HeadRefused

    def _end_with(self, refusal: Refusal) -> None:
        self._refusal = self._refusal or refusal
        if any(cycle.response_started for cycle in self._unanswered):
            self.transport.abort()
        if self._unanswered and self._unanswered[-1].more_body:
            self._give_up(self._unanswered.pop())  # its body is what was refused
        self._send_refusal()

    def _send_refusal(self) -> None:
        """Answer and close, once there is something to refuse and everything before it is answered."""
        if self._refusal is None or self._unanswered or self.transport.is_closing():
            return
        self._stop_watching()
        self._unset_keepalive_if_required()
        reply = protocol_error(self._refusal.status, self._refusal.message, self._ids.correlation_id())
        self.transport.write(reply.http11())
        self.transport.close()

    def _watch_head(self) -> None:
        """Have a timer run while the client owes us a head and the keep-alive timer is not running."""
        if self._unanswered or self.timeout_keep_alive_task is not None:
            self._stop_watching()
        elif self._head_timer is None and not self.transport.is_closing():
            self._head_timer = self.loop.call_later(self._limits.head_timeout_s, self.transport.abort)

    def _stop_watching(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    @staticmethod
    def _give_up(cycle: RequestResponseCycle) -> None:
        cycle.disconnected = True
        cycle.message_event.set()
