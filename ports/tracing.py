"""The port to distributed tracing: which trace a request belongs to, and what it tells there."""

from collections.abc import Mapping, Sequence
from typing import Protocol

AttributeValue = str | int | float | Sequence[str]


class RequestTrace(Protocol):
    """One request's place in a trace. Event loop only; nothing here blocks or raises."""

    @property
    def trace_id(self) -> str | None:
        """32 hex digits; None where the request belongs to no trace."""
        ...

    def note(self, attributes: Mapping[str, AttributeValue]) -> None:
        """Add facts; never a prompt, an answer or a part of them."""
        ...

    def event(self, name: str) -> None:
        """Note that something happens now."""
        ...

    def fail(self, error_type: str) -> None:
        """Mark the request as failed, with a code or an HTTP status."""
        ...

    def end(self) -> None:
        """The request is answered. Call it once, last."""
        ...


class Tracer(Protocol):
    """Continues the traces of callers (W3C Trace Context)."""

    def start(
        self, span_name: str | None, *, traceparent: str | None, tracestate: str | None
    ) -> RequestTrace:
        """Begin a request.

        Args:
            span_name: of the request's own span; None for a request that gets none.
            traceparent, tracestate: the headers of that name; what breaks their rules counts as absent.
        """
        ...

    def close(self, timeout_s: float) -> None:
        """Send what is not sent yet, for as long as `timeout_s` at most. Blocks; any thread."""
        ...
