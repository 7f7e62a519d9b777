"""The `traceparent` header, read without OpenTelemetry as OpenTelemetry reads it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from adapters_outbound.tracing.passive import PassiveTracer, trace_id_of

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


def by_opentelemetry(traceparent: str) -> str | None:
    """What the library's own reader makes of it."""
    context = TraceContextTextMapPropagator().extract({"traceparent": traceparent})
    span_context = trace.get_current_span(context).get_span_context()
    return trace.format_trace_id(span_context.trace_id) if span_context.is_valid else None


@pytest.mark.req("M0-W-1900")
@pytest.mark.parametrize(
    ("traceparent", "expected"),
    [
        (f"00-{TRACE_ID}-{PARENT}-01", TRACE_ID),
        (f"00-{TRACE_ID}-{PARENT}-00", TRACE_ID),
        (f"00-{TRACE_ID}-{PARENT}-ff", TRACE_ID),
        (f"cc-{TRACE_ID}-{PARENT}-01", TRACE_ID),
        (f"cc-{TRACE_ID}-{PARENT}-01-what-the-future-brings", TRACE_ID),
        (f"cc-{TRACE_ID}-{PARENT}-01.what", None),
        (f"00-{TRACE_ID}-{PARENT}-01-more", None),
        (f"ff-{TRACE_ID}-{PARENT}-01", None),
        (f"00-{'0' * 32}-{PARENT}-01", None),
        (f"00-{TRACE_ID}-{'0' * 16}-01", None),
        (f"00-{TRACE_ID.upper()}-{PARENT}-01", None),
        (f"00-{TRACE_ID[1:]}-{PARENT}-01", None),
        (f"00-{TRACE_ID}-{PARENT}-1", None),
        (f"00-{TRACE_ID}-{PARENT}", None),
        (f"0-{TRACE_ID}-{PARENT}-01", None),
        (f"cc-{TRACE_ID}-{PARENT}-01-{'x' * 500}", None),
        (f"00_{TRACE_ID}_{PARENT}_01", None),
        ("", None),
        ("-", None),
    ],
)
def test_the_trace_id_is_read_by_the_rules_of_w3c(traceparent: str, expected: str | None) -> None:
    assert expected == trace_id_of(traceparent) == by_opentelemetry(traceparent)


@given(
    st.from_regex(
        r"(00|01|fe|ff)-[0-9a-f]{31,33}-[0-9a-f]{15,17}-[0-9a-g]{1,3}(-[a-z]{0,5})?", fullmatch=True
    )
)
def test_any_header_is_read_as_opentelemetry_reads_it(traceparent: str) -> None:
    assert by_opentelemetry(traceparent) == trace_id_of(traceparent)


def test_without_an_exporter_a_request_knows_its_trace_and_nothing_is_kept() -> None:
    tracer = PassiveTracer()
    request = tracer.start("POST /execute", traceparent=f"00-{TRACE_ID}-{PARENT}-01", tracestate="a=1")
    request.note({"a": 1})
    request.event("b")
    request.fail("c")
    request.end()
    tracer.close(timeout_s=0.0)

    assert TRACE_ID == request.trace_id
    assert None is tracer.start(None, traceparent=None, tracestate=None).trace_id
