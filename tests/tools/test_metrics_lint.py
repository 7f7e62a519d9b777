"""The check of the metrics' contract: it passes what a worker says and sees every kind of breach."""

import io
import sys

import pytest

from adapters_outbound.prometheus_metrics import PrometheusMetrics
from ports.metrics import JobFigures, Outcome, WorkerGauges
from tools.metrics_lint import CONTRACT, lint, main


@pytest.fixture
def text() -> str:
    """What a worker says after one job of every outcome."""
    metrics = PrometheusMetrics(worker_id="w", quant_kind="MXFP4", num_active_experts=4)
    metrics.watch(lambda: WorkerGauges(1000, 2.0, is_healthy=True))
    metrics.started(startup_s=1.5, model_load_s=0.5)
    for outcome in Outcome:
        metrics.job_ended(JobFigures(outcome, tokens_in=2, tokens_out=4, duration_s=2.0, first_token_s=0.5))
    return metrics.render()[0].decode()


@pytest.mark.req("M0-W-1350", "SYS-10.1.1", "SYS-12.3.1")
def test_what_a_worker_says_holds(text: str) -> None:
    assert [] == lint(text)


BREACHES = {
    "another name": ("worker_vram_bytes", "worker_vram_used_bytes", "is not in the contract"),
    "a name left out": ("worker_healthy", "", "worker_healthy: is missing"),
    "another type": (
        "worker_tokens_in_total counter",
        "worker_tokens_in_total gauge",
        "is a gauge, not a counter",
    ),
    "a counter without _total": (
        "worker_requests_total",
        "worker_requests",
        "worker_requests: is a counter without _total",
    ),
    "no unit": (
        "worker_first_token_latency_ms",
        "worker_first_token_latency",
        "does not end with its unit, _ms",
    ),
    "another unit": ("worker_uptime_seconds", "worker_uptime_ms", "does not end with its unit, _seconds"),
    "no help": (
        "# HELP worker_vram_bytes Device memory held.",
        "# HELP worker_vram_bytes",
        "has no help text",
    ),
    "a label too few": (
        'quant_kind="MXFP4",worker_id="w"',
        'quant_kind="MXFP4"',
        "lacks the label worker_id",
    ),
    "a label too many": ('quant_kind="MXFP4"', 'quant_kind="MXFP4",job_id="j"', "has the label job_id"),
    "an outcome of its own": ('outcome="timeout"', 'outcome="late"', "has the outcome late"),
    "another component": ('component="worker"', 'component="pool"', "does not say component=worker"),
    "buckets out of order": ('le="50.0"', 'le="500.5"', "has buckets that do not ascend"),
    "a target not shown": ('le="100.0"', 'le="99.0"', "cannot show its target of 100 ms"),
    "no last bucket": ('le="+Inf"', 'le="9e9"', "has no bucket that takes everything"),
    "no text format": ("# TYPE", "TYPE =", "this is not Prometheus' text format"),
}


@pytest.mark.req("M0-W-1350", "SYS-10.1.1")
@pytest.mark.parametrize(("right", "wrong", "expected"), BREACHES.values(), ids=BREACHES.keys())
def test_a_breach_is_seen(text: str, right: str, wrong: str, expected: str) -> None:
    assert right in text
    lines = text.replace(right, wrong) if wrong else "\n".join(x for x in text.splitlines() if right not in x)
    problems = lint(lines)

    assert any(expected in problem for problem in problems), problems


def test_series_that_differ_in_the_worker_are_seen(text: str) -> None:
    assert ["the labels of the worker differ between its series"] == lint(text.replace('="w"', '="v"', 1))


def test_times_of_creation_are_seen(text: str) -> None:
    line = (
        'worker_requests_created{component="worker",worker_id="w",quant_kind="MXFP4",outcome="success"} 1.0\n'
    )

    assert ["worker_requests_created: is not in the contract"] == lint(text + line)[-1:]


def test_the_expert_count_alone_may_be_missing() -> None:
    assert ["worker_active_expert_count"] == [name for name, each in CONTRACT.items() if not each.required]


def test_the_command_tells_and_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))

    assert (0, "") == (main(), capsys.readouterr().out)

    monkeypatch.setattr(sys, "stdin", io.StringIO(""))

    assert 1 == main()
    assert "worker_vram_bytes: is missing" in capsys.readouterr().out
