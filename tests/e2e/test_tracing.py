"""Traces of a real worker process: sent to a real collector, and never in the way of the work."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from app.launcher import WorkerProcessHandle

Start = Callable[..., WorkerProcessHandle]
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT_ID = "00f067aa0ba902b7"
HEADERS = {"traceparent": f"00-{TRACE_ID}-{PARENT_ID}-01"}
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
EXIT_BUDGET_S = 5.0  # M0-W-1630


class Collector:
    """Takes OTLP over HTTP, and keeps what it is sent."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, ExportTraceServiceRequest]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.requests.append((self.path, ExportTraceServiceRequest.FromString(body)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base class's name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for _, request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


@pytest.fixture(autouse=True)
def no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


def execute(worker: WorkerProcessHandle, **fields: object) -> None:
    """Run one job to its end as part of the caller's trace."""
    request = {"job_id": "j", "prompt": "hello", "max_tokens": 4, "temperature": 0, **fields}
    httpx.post(f"{worker.base_url}/execute", json=request, headers=HEADERS).raise_for_status()


def seconds_to_stop(worker: WorkerProcessHandle) -> float:
    started_at_s = time.monotonic()

    assert 0 == worker.stop()
    return time.monotonic() - started_at_s


@pytest.mark.req("SYS-10.3.1")
def test_a_collector_gets_the_spans_of_all_jobs_before_the_worker_is_gone(
    start: Start, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENDPOINT, collector.url)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "our-workers")
    worker = start("--fake-fault", "launch-failure@4")
    execute(worker)
    execute(worker, job_id="fails")
    worker.stop()
    (path, request), *_ = collector.requests
    resource = {each.key: each.value.string_value for each in request.resource_spans[0].resource.attributes}
    good, bad = collector.spans

    assert ("/v1/traces", "our-workers") == (path, resource["service.name"])
    assert worker.narration[0]["worker_id"] == resource["service.instance.id"]
    assert {(TRACE_ID, PARENT_ID)} == {
        (each.trace_id.hex(), each.parent_span_id.hex()) for each in (good, bad)
    }
    assert ("POST /execute", Span.SpanKind.SPAN_KIND_SERVER) == (good.name, good.kind)
    assert (Status.STATUS_CODE_UNSET, Status.STATUS_CODE_ERROR) == (good.status.code, bad.status.code)
    assert 0 < good.start_time_unix_nano <= good.events[0].time_unix_nano <= good.end_time_unix_nano
    assert {TRACE_ID} == {line["trace_id"] for line in worker.narration if "job_id" in line}


@pytest.mark.req("M0-W-1630")
@pytest.mark.parametrize("answers", [False, True], ids=["refuses", "accepts and is silent"])
def test_a_collector_that_does_not_answer_delays_neither_jobs_nor_the_end(
    start: Start, monkeypatch: pytest.MonkeyPatch, *, answers: bool
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{silent.getsockname()[1] if answers else 1}")
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
        worker = start()
        for _ in range(3):
            execute(worker)

        assert seconds_to_stop(worker) < EXIT_BUDGET_S
    assert 3 == len(worker.events("execute_end"))
    assert "shutdown" == worker.narration[-1]["event"]


def test_without_the_extra_the_worker_says_so_and_serves(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "opentelemetry.py").write_text("raise ImportError('blocked: as if it were not installed')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    worker = start()
    execute(worker)
    worker.stop()

    (problem,) = worker.events("tracing_problem")
    assert "blocked" in problem["error_message"]
    assert [TRACE_ID] == [line["trace_id"] for line in worker.events("execute_end")]


def test_without_the_extra_and_without_a_wish_for_it_nothing_is_said(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "opentelemetry.py").write_text("raise ImportError('blocked: as if it were not installed')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    worker = start()
    execute(worker)
    worker.stop()

    assert [] == worker.events("tracing_problem")
    assert [TRACE_ID] == [line["trace_id"] for line in worker.events("execute_end")]
