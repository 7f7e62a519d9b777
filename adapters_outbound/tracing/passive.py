"""Tracing without an exporter: a request knows its caller's trace, and nothing is recorded."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ports.tracing import AttributeValue

_MAX_CHARS = 512
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")


@dataclass(frozen=True, slots=True)
class PassiveTrace:
    """A `RequestTrace` that keeps nothing but its id."""

    trace_id: str | None

    def note(self, attributes: Mapping[str, AttributeValue]) -> None:
        """Nothing: nobody asked."""

    def event(self, name: str) -> None:
        """Nothing: nobody asked."""

    def fail(self, error_type: str) -> None:
        """Nothing: nobody asked."""

    def end(self) -> None:
        """Nothing: nobody asked."""


class PassiveTracer:
    """A `Tracer` that records nothing."""

    def start(
        self,
        span_name: str | None,  # noqa: ARG002 there are no spans
        *,
        traceparent: str | None,
        tracestate: str | None,  # noqa: ARG002 nobody is passed it on
    ) -> PassiveTrace:
        return PassiveTrace(trace_id_of(traceparent))

    def close(self, timeout_s: float) -> None:
        """There is nothing to send."""


def trace_id_of(traceparent: str | None) -> str | None:
    """The trace id of a `traceparent` header; None for one that is invalid.

    Source: W3C Trace Context, section 3.2 (https://www.w3.org/TR/trace-context/). A version not known yet may
    carry more fields; version 255 does not exist, and ids of zeros are none.
    """
    match = _TRACEPARENT.fullmatch((traceparent or "")[: _MAX_CHARS + 1])
    if match is None or len(match[0]) > _MAX_CHARS:
        return None
    version, trace_id, parent_id, more = match.groups()
    if version == "ff" or (version == "00" and more):
        return None
    return trace_id if int(trace_id, 16) and int(parent_id, 16) else None
