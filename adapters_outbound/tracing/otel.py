"""Tracing through OpenTelemetry. Importable with the extra `otel` alone."""

import logging
import threading
from collections.abc import Mapping

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, format_trace_id
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from adapters_outbound.tracing.passive import PassiveTrace, trace_id_of
from ports.narrator import Level, Narrator
from ports.tracing import AttributeValue, RequestTrace


class OtelTracer:
    """A span for each request that is to have one, continuing the caller's trace.

    Args:
        processor: takes the spans that have ended.
        version, worker_id: of this worker; told with every span. OTEL_SERVICE_NAME and
            OTEL_RESOURCE_ATTRIBUTES win over them.
        complaints: what the library has to say; closed with the tracer.
    """

    def __init__(
        self,
        processor: SpanProcessor,
        *,
        version: str,
        worker_id: str,
        complaints: logging.Handler | None = None,
    ) -> None:
        facts = {
            "service.name": "worker-orcd",
            "service.version": version,
            "service.instance.id": worker_id,
        }
        resource = Resource.create(facts).merge(OTELResourceDetector().detect())
        # Its own handler at exit would wait for a collector that does not answer.
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("worker-orcd", version)
        self._propagator = TraceContextTextMapPropagator()
        self._complaints = complaints

    def start(
        self, span_name: str | None, *, traceparent: str | None, tracestate: str | None
    ) -> RequestTrace:
        if span_name is None:
            return PassiveTrace(trace_id_of(traceparent))
        headers = {"traceparent": traceparent, "tracestate": tracestate}
        caller = self._propagator.extract({name: text for name, text in headers.items() if text})
        return OtelTrace(self._tracer.start_span(span_name, context=caller, kind=SpanKind.SERVER))

    def close(self, timeout_s: float) -> None:
        # In a thread that nobody waits for at exit, because the exporter's own limits are ten times as long.
        closing = threading.Thread(target=self._provider.shutdown, name="last-spans", daemon=True)
        closing.start()
        closing.join(timeout_s)
        if self._complaints is not None:
            self._complaints.close()


class OtelTrace:
    """A `RequestTrace` that is one span."""

    def __init__(self, span: Span) -> None:
        self._span = span

    @property
    def trace_id(self) -> str:
        return format_trace_id(self._span.get_span_context().trace_id)

    def note(self, attributes: Mapping[str, AttributeValue]) -> None:
        self._span.set_attributes(attributes)

    def event(self, name: str) -> None:
        self._span.add_event(name)

    def fail(self, error_type: str) -> None:
        self._span.set_attribute("error.type", error_type)
        self._span.set_status(StatusCode.ERROR)

    def end(self) -> None:
        self._span.end()


def open_otlp_tracer(narrator: Narrator, *, version: str, worker_id: str) -> OtelTracer:
    """Trace to the collector that the OTEL_ variables name, in batches, from a thread of the exporter's own.

    Raises:
        ValueError: a variable holds what it cannot.
    """
    complaints = _NarrationHandler(narrator)
    logger = logging.getLogger("opentelemetry")
    logger.propagate = False
    logger.handlers = [complaints]
    processor = BatchSpanProcessor(OTLPSpanExporter())
    return OtelTracer(processor, version=version, worker_id=worker_id, complaints=complaints)


class _NarrationHandler(logging.Handler):
    """Turns what the library logs into narration, which is the only log, until it is closed."""

    def __init__(self, narrator: Narrator) -> None:
        super().__init__(logging.WARNING)
        self._narrator: Narrator | None = narrator

    def close(self) -> None:
        # The exporter's thread may outlive the tracer, and the last sentence of a worker is that it leaves.
        self.acquire()
        self._narrator = None
        self.release()
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        if self._narrator is None:
            return
        self._narrator.narrate(
            "tracing_problem",
            "could not export traces as asked; the jobs go on",
            level=Level.WARN,
            error_message=record.getMessage(),
        )
