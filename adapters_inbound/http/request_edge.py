"""The outermost layer around every request."""

import asyncio
from collections.abc import Callable
from typing import cast

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from adapters_inbound.http.defects import narrate_defect
from adapters_inbound.http.error_reply import internal_error
from adapters_inbound.http.request_headers import combined_header, offered_correlation_id, single_header
from ports.ids import Ids
from ports.narrator import Narrator
from ports.tracing import RequestTrace, Tracer

_TRACED_PATH = "/execute"  # the one that takes time; health checks would drown it


class RequestEdge:
    """Gives each request its correlation id and its trace, each send a time limit, each defect an end.

    It stands outside of Litestar, whose own middleware does not see a 404 or a 405.
    """

    def __init__(
        self, app: ASGIApp, *, ids: Ids, narrator: Narrator, tracer: Tracer, send_timeout_s: float
    ) -> None:
        self._app = app
        self._ids = ids
        self._narrator = narrator
        self._tracer = tracer
        self._send_timeout_s = send_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        correlation_id = offered_correlation_id(scope) or self._ids.correlation_id()
        trace = self._start_trace(scope, correlation_id)
        scope.setdefault("state", {}).update(correlation_id=correlation_id, trace=trace)
        reply = _Reply(send, correlation_id, self._send_timeout_s, connection_aborter(scope))
        try:
            await self._app(scope, receive, reply.send)
        except Exception as error:
            narrate_defect(self._narrator, error, correlation_id, trace_id=trace.trace_id)
            if reply.status is not None:
                reply.abort()
            else:
                await internal_error(correlation_id).asgi()(scope, receive, reply.send)
        finally:
            _end_trace(trace, reply.status)

    def _start_trace(self, scope: HTTPScope, correlation_id: str) -> RequestTrace:
        is_job = scope["method"] == "POST" and scope["path"] == _TRACED_PATH
        trace = self._tracer.start(
            f"POST {_TRACED_PATH}" if is_job else None,
            traceparent=_text(single_header(scope, b"traceparent")),
            tracestate=_text(combined_header(scope, b"tracestate")),
        )
        trace.note(
            {
                "http.request.method": scope["method"],
                "http.route": _TRACED_PATH,
                "worker_orcd.correlation_id": correlation_id,
            }
        )
        return trace


def _text(header: bytes | None) -> str | None:
    return None if header is None else header.decode("latin-1")


def _end_trace(trace: RequestTrace, status: int | None) -> None:
    if status is not None:
        trace.note({"http.response.status_code": status})
        if status >= 500:
            trace.fail(str(status))
    trace.end()


def correlation_id_of(scope: HTTPScope) -> str:
    """The id that `RequestEdge` gave the request."""
    return cast("str", scope["state"]["correlation_id"])


def trace_of(scope: HTTPScope) -> RequestTrace:
    """The trace that `RequestEdge` gave the request."""
    return cast("RequestTrace", scope["state"]["trace"])


def connection_aborter(scope: HTTPScope) -> Callable[[], None]:
    """What closes the request's connection at once, unsent bytes and all; the server provides it."""
    return cast("Callable[[], None]", scope["state"].get("abort_connection", _cannot_abort))


def _cannot_abort() -> None:
    """A server that offers no abort closes the connection when it will."""


class _Reply:
    """The sending side of one response."""

    def __init__(self, send: Send, correlation_id: str, timeout_s: float, abort: Callable[[], None]) -> None:
        self.status: int | None = None  # once the response has started
        self.abort = abort
        self._send = send
        self._correlation_id = correlation_id.encode("ascii")
        self._timeout_s = timeout_s

    async def send(self, message: Message) -> None:
        """Send, or give the client up: one that does not read for so long holds a connection for nothing."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", ()), (b"x-correlation-id", self._correlation_id)]
            message["headers"] = headers
        # Aborting ends the wait: the server lets go of whoever sends to a connection that is lost.
        timer = asyncio.get_running_loop().call_later(self._timeout_s, self.abort)
        try:
            await self._send(message)
        finally:
            timer.cancel()
