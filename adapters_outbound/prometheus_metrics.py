"""Metrics in Prometheus' text format (spec §23.3)."""

from collections.abc import Callable, Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from ports.metrics import JobFigures, WorkerGauges

_JOB_MS = (5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000)
_TOKEN_MS = (0.25, 0.5, 1, 2, 5, 10, 20, 50, 100, 250, 500, 1_000, 2_500, 5_000)


class PrometheusMetrics:
    """Counts in a registry of its own, so that two workers in one process do not mix.

    Args:
        worker_id, quant_kind: labels of every series; fixed for life, so their number stays bounded.
        num_active_experts: experts that compute each token; None for a model without experts.
    """

    def __init__(self, *, worker_id: str, quant_kind: str, num_active_experts: int | None = None) -> None:
        self._labels = {"component": "worker", "worker_id": worker_id, "quant_kind": quant_kind}
        self._registry = CollectorRegistry()
        # A second series beside each, that no dashboard here asks for.
        disable_created_metrics()  # type: ignore[no-untyped-call] # the library has it so
        self._requests = Counter(
            "worker_requests", "Jobs by outcome.", [*self._labels, "outcome"], registry=self._registry
        )
        self._tokens_in = self._counter("worker_tokens_in", "Prompt tokens of ended jobs.")
        self._tokens_out = self._counter("worker_tokens_generated", "Generated tokens of ended jobs.")
        self._duration = self._histogram(
            "worker_inference_duration_ms", "From acceptance to the terminal event.", _JOB_MS
        )
        self._first_token = self._histogram(
            "worker_first_token_latency_ms", "From acceptance to the first token.", _TOKEN_MS
        )
        self._per_token = self._histogram(
            "worker_per_token_latency_ms", "Mean gap between the tokens of a job.", _TOKEN_MS
        )
        self._cancellation = self._histogram(
            "worker_cancellation_latency_ms", "From the wish to stop to the terminal event.", _TOKEN_MS
        )
        self._model_load = self._histogram(
            "worker_model_load_duration_ms", "Opening, checking and uploading the model.", _JOB_MS
        )
        self._startup = self._gauge("worker_startup_duration_ms", "Process start to serving.")
        self._deadline = self._gauge(
            "worker_deadline_remaining_ms", "Until the deadline of the job accepted last, if it brought one."
        )

        if num_active_experts is not None:
            self._gauge("worker_active_expert_count", "Experts that compute each token.").set(
                num_active_experts
            )

    def job_ended(self, figures: JobFigures) -> None:
        self._requests.labels(*self._labels.values(), figures.outcome.value).inc()
        self._tokens_in.inc(figures.tokens_in)
        self._tokens_out.inc(figures.tokens_out)
        self._duration.observe(1000 * figures.duration_s)
        for histogram, seconds in (
            (self._first_token, figures.first_token_s),
            (self._per_token, figures.per_token_s),
            (self._cancellation, figures.cancellation_s),
        ):
            if seconds is not None:
                histogram.observe(1000 * seconds)
        if figures.deadline_remaining_ms is not None:
            self._deadline.set(figures.deadline_remaining_ms)

    def started(self, *, startup_s: float, model_load_s: float) -> None:
        self._startup.set(1000 * startup_s)
        self._model_load.observe(1000 * model_load_s)

    def watch(self, gauges: Callable[[], WorkerGauges]) -> None:
        self._registry.register(_Watch(gauges, self._labels))

    def render(self) -> tuple[bytes, str]:
        return generate_latest(self._registry), CONTENT_TYPE_LATEST

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(name, text, [*self._labels], registry=self._registry).labels(**self._labels)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, [*self._labels], registry=self._registry).labels(**self._labels)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        histogram = Histogram(name, text, [*self._labels], registry=self._registry, buckets=buckets)
        return histogram.labels(**self._labels)


class _Watch(Collector):
    """Gauges that are read when they are asked for."""

    def __init__(self, gauges: Callable[[], WorkerGauges], labels: dict[str, str]) -> None:
        self._gauges = gauges
        self._labels = labels

    def collect(self) -> Iterator[Metric]:
        now = self._gauges()
        for name, text, value in (
            ("worker_vram_bytes", "Device memory held.", now.vram_bytes),
            ("worker_uptime_seconds", "Since the worker serves.", now.uptime_s),
            ("worker_healthy", "1 while the worker can be trusted with a job.", int(now.is_healthy)),
        ):
            family = GaugeMetricFamily(name, text, labels=[*self._labels])
            family.add_metric([*self._labels.values()], value)
            yield family
