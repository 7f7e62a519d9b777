"""traceparent: continued with a span a job, in every log line of the request, and never a failure."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, format_span_id, format_trace_id

from adapters_outbound.tracing.otel import OtelTracer
from domain.errors import DeviceError
from tests.http.client import Connection
from tests.http.service import Service, pace
from tests.support.doubles import RecordingNarrator
from tests.support.scripted_model import ScriptedModel

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT_ID = "00f067aa0ba902b7"
SAMPLED = {"traceparent": f"00-{TRACE_ID}-{PARENT_ID}-01", "x-correlation-id": "cid-1"}


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
async def service(exporter: InMemorySpanExporter) -> AsyncIterator[Service]:
    tracer = OtelTracer(SimpleSpanProcessor(exporter), version="1.2", worker_id="w-1")
    async with Service(tracer=tracer) as service:
        yield service
    tracer.close(timeout_s=5)


@pytest.fixture
async def client(service: Service) -> AsyncIterator[Connection]:
    async with await service.connect() as client:
        yield client


async def only_span(exporter: InMemorySpanExporter) -> ReadableSpan:
    """The one span; it ends a moment after its response."""
    async with asyncio.timeout(5):
        while not exporter.get_finished_spans():  # noqa: ASYNC110 - the exporter offers no event
            await asyncio.sleep(0.001)
    (span,) = exporter.get_finished_spans()
    return span


def trace_ids(narrator: RecordingNarrator) -> list[str | None]:
    return [event.get("trace_id") for event in narrator.events]


@pytest.mark.req("SYS-10.3.1")
async def test_a_job_is_a_span_of_its_callers_trace(
    client: Connection, exporter: InMemorySpanExporter
) -> None:
    await client.execute("j-1", {**SAMPLED, "tracestate": "vendor=1"}, max_tokens=3, temperature=0.5, seed=7)
    await client.all_events()
    span = await only_span(exporter)

    assert ("POST /execute", SpanKind.SERVER) == (span.name, span.kind)
    assert span.context is not None
    assert span.parent is not None
    assert TRACE_ID == format_trace_id(span.context.trace_id)
    assert (PARENT_ID, True) == (format_span_id(span.parent.span_id), span.parent.is_remote)
    assert span.context.trace_flags.sampled
    assert "1" == span.context.trace_state.get("vendor")
    assert StatusCode.UNSET is span.status.status_code
    assert ["gen_ai.first_token"] == [event.name for event in span.events]
    assert {
        "http.request.method": "POST",
        "http.route": "/execute",
        "http.response.status_code": 200,
        "gen_ai.operation.name": "text_completion",
        "gen_ai.request.model": "scripted",
        "gen_ai.request.max_tokens": 3,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 1.0,
        "gen_ai.request.top_k": 0,
        "gen_ai.usage.input_tokens": 2,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.response.finish_reasons": ("length",),
        "worker_orcd.correlation_id": "cid-1",
        "worker_orcd.job_id": "j-1",
        "worker_orcd.seed": "7",
        "worker_orcd.outcome": "success",
    } == dict(span.attributes or {})
    assert {
        "service.name": "worker-orcd",
        "service.version": "1.2",
        "service.instance.id": "w-1",
    }.items() <= (span.resource.attributes.items())


@pytest.mark.req("M0-W-1902")
async def test_no_text_is_in_a_span(client: Connection, exporter: InMemorySpanExporter) -> None:
    await client.execute(prompt="tell-tale prompt", stop=["tell-tale stop"], max_tokens=6)
    await client.all_events()

    told = (await only_span(exporter)).to_json()

    assert "tell-tale" not in told
    assert "abcabc" not in told


async def test_what_the_caller_does_not_sample_is_not_exported_and_still_logged(
    client: Connection, service: Service, exporter: InMemorySpanExporter
) -> None:
    await client.execute(headers={"traceparent": f"00-{TRACE_ID}-{PARENT_ID}-00"}, max_tokens=1)
    await client.all_events()
    await client.execute("second", max_tokens=1)
    await client.all_events()
    span = await only_span(exporter)

    assert span.context is not None
    own = format_trace_id(span.context.trace_id)
    assert (None, [TRACE_ID, TRACE_ID, own, own]) == (span.parent, trace_ids(service.narrator))


@pytest.mark.parametrize("message", ["failed", "refused", "cancelled", "gone"])
async def test_how_a_request_ends_is_how_its_span_ends(message: str, exporter: InMemorySpanExporter) -> None:
    def step(number: int) -> None:
        pace(0.005)(number)
        if message == "failed" and number == 2:
            raise DeviceError("the launch failed")

    tracer = OtelTracer(SimpleSpanProcessor(exporter), version="1", worker_id="w")
    async with Service(ScriptedModel(before_step=step), tracer=tracer) as service:
        async with await service.connect() as client:
            if message == "refused":
                service.worker.drain()
            await client.execute("j", max_tokens=2000)
            if message == "cancelled":
                async with await service.connect() as other:
                    await other.call("POST", "/cancel", {"job_id": "j"})
            if message in {"failed", "cancelled"}:
                await client.all_events()
        span = await only_span(exporter)
    attributes = dict(span.attributes or {})
    outcome = attributes.get("worker_orcd.outcome")
    expected = {
        "failed": (StatusCode.ERROR, "CUDA_ERROR", "error"),
        "refused": (StatusCode.ERROR, "503", None),
        "cancelled": (StatusCode.UNSET, None, "cancelled"),
        "gone": (StatusCode.UNSET, None, "cancelled"),
    }

    assert expected[message] == (span.status.status_code, attributes.get("error.type"), outcome)


async def test_only_jobs_get_a_span(client: Connection, exporter: InMemorySpanExporter) -> None:
    for method, target in (
        ("GET", "/health"),
        ("GET", "/metrics"),
        ("GET", "/execute"),
        ("POST", "/nothing"),
    ):
        await client.call(method, target, None, SAMPLED)
    await client.execute(max_tokens=1)
    await client.all_events()

    assert "POST /execute" == (await only_span(exporter)).name


@pytest.mark.req("SYS-10.2.2")
async def test_without_an_exporter_the_trace_is_in_every_line_of_the_request() -> None:
    headers = {**SAMPLED, "x-deadline": "never"}
    async with Service(ScriptedModel(before_step=pace(0.005))) as service:
        async with await service.connect() as client, await service.connect() as other:
            await client.execute(headers=headers, max_tokens=2000)
            await other.call("POST", "/cancel", {"job_id": "other"}, SAMPLED)
            client.reset()
            await service.until_idle()
        names = service.narrator.names()

    assert {"deadline_ignored", "execute_start", "cancel", "client_disconnect", "execute_end"} == set(names)
    assert {TRACE_ID} == set(trace_ids(service.narrator))


@pytest.mark.parametrize("traceparent", ["nonsense", f"00-{'0' * 32}-{PARENT_ID}-01", "\xe9", "a" * 2000])
async def test_one_that_is_invalid_is_as_good_as_none(traceparent: str) -> None:
    async with Service() as service, await service.connect() as client:
        reply = await client.execute(headers={"traceparent": traceparent}, max_tokens=1)
        events = await client.all_events()

    assert (200, "end") == (reply.status, events[-1].name)
    assert {None} == set(trace_ids(service.narrator))


async def test_of_two_neither_is_believed() -> None:
    head = "".join(f"traceparent: 00-{digit * 32}-{PARENT_ID}-01\r\n" for digit in "12")
    body = '{"job_id": "j", "prompt": "hi", "max_tokens": 1}'
    async with Service() as service, await service.connect() as client:
        client.send(
            f"POST /execute HTTP/1.1\r\nhost: w\r\ncontent-type: application/json\r\n{head}"
            f"content-length: {len(body)}\r\n\r\n{body}".encode()
        )
        await client.head()
        await client.all_events()

    assert {None} == set(trace_ids(service.narrator))
