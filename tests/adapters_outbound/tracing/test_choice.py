"""Which tracer serves: the standard variables decide, and nothing about them can stop a worker."""

import logging
import sys
import time
from collections.abc import Iterator, Mapping

import pytest

from adapters_outbound.tracing.choice import asks_for_export, open_tracer
from adapters_outbound.tracing.otel import OtelTracer
from adapters_outbound.tracing.passive import PassiveTracer
from ports.tracing import Tracer
from tests.support.doubles import RecordingNarrator

NOBODY = "http://127.0.0.1:1"
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture(autouse=True)
def library_log() -> Iterator[logging.Logger]:
    """The library's logger, as it was afterwards."""
    logger = logging.getLogger("opentelemetry")
    handlers, propagate = logger.handlers, logger.propagate
    yield logger
    logger.handlers, logger.propagate = handlers, propagate


@pytest.fixture
def narrator() -> RecordingNarrator:
    return RecordingNarrator()


def opened(environment: Mapping[str, str], narrator: RecordingNarrator) -> Tracer:
    return open_tracer(environment, narrator, version="1.2", worker_id="w")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": NOBODY}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": NOBODY}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": NOBODY}, False),
        ({"OTEL_TRACES_EXPORTER": "console"}, False),  # it would write to the log's standard output
        ({"OTEL_SDK_DISABLED": "True", "OTEL_EXPORTER_OTLP_ENDPOINT": NOBODY}, False),
        ({"OTEL_SDK_DISABLED": "false", "OTEL_EXPORTER_OTLP_ENDPOINT": NOBODY}, True),
    ],
)
def test_the_standard_variables_decide(environment: Mapping[str, str], *, expected: bool) -> None:
    assert expected == asks_for_export(environment)


def test_nobody_asks_and_nothing_is_said(narrator: RecordingNarrator) -> None:
    assert isinstance(opened({}, narrator), PassiveTracer)
    assert [] == narrator.events


def test_a_missing_extra_is_said_once_and_is_no_failure(
    narrator: RecordingNarrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "adapters_outbound.tracing.otel")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)

    assert isinstance(opened({"OTEL_TRACES_EXPORTER": "otlp"}, narrator), PassiveTracer)
    assert ["tracing_problem"] == narrator.names()


def test_a_setting_that_makes_no_sense_is_said_and_is_no_failure(
    narrator: RecordingNarrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "soon")

    opened({"OTEL_TRACES_EXPORTER": "otlp"}, narrator).close(timeout_s=5)

    assert {"tracing_problem"} == set(narrator.names())


def test_what_the_library_logs_is_narrated_and_closing_is_bounded(
    narrator: RecordingNarrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", NOBODY)
    tracer = opened({"OTEL_EXPORTER_OTLP_ENDPOINT": NOBODY}, narrator)
    assert isinstance(tracer, OtelTracer)
    tracer.start("POST /execute", traceparent=TRACEPARENT, tracestate=None).end()
    started_at_s = time.monotonic()
    tracer.close(timeout_s=0.5)

    # the library's own patience is ten seconds
    assert time.monotonic() - started_at_s < 5
    assert {"tracing_problem"} == set(narrator.names())


def test_nothing_is_said_once_the_tracer_is_closed(
    narrator: RecordingNarrator, library_log: logging.Logger
) -> None:
    tracer = opened({"OTEL_EXPORTER_OTLP_ENDPOINT": NOBODY}, narrator)
    library_log.warning("before")
    tracer.close(timeout_s=5)
    library_log.warning("after")

    assert ["before"] == [event["error_message"] for event in narrator.events]
