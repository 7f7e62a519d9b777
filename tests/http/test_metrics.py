"""`GET /metrics`: names, types and labels of spec §23.3, and what jobs add to them."""

from collections.abc import AsyncIterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.http.client import Connection
from tests.http.service import Service
from tests.support.bench_worker import INFO

TYPES = {
    "worker_vram_bytes": "gauge",
    "worker_requests": "counter",
    "worker_tokens_in": "counter",
    "worker_tokens_generated": "counter",
    "worker_inference_duration_ms": "histogram",
    "worker_uptime_seconds": "gauge",
    "worker_startup_duration_ms": "gauge",
    "worker_healthy": "gauge",
    "worker_deadline_remaining_ms": "gauge",
    "worker_first_token_latency_ms": "histogram",
    "worker_per_token_latency_ms": "histogram",
    "worker_cancellation_latency_ms": "histogram",
    "worker_model_load_duration_ms": "histogram",
}
LABELS = {"component": "worker", "worker_id": INFO.worker_id, "quant_kind": INFO.quant_kind}


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with Service() as service:
        yield service


@pytest.fixture
async def client(service: Service) -> AsyncIterator[Connection]:
    async with await service.connect() as client:
        yield client


async def scrape(client: Connection) -> str:
    reply = await client.call("GET", "/metrics")
    assert (200, True) == (reply.status, "text/plain" in (reply.header("content-type") or ""))
    return reply.body.decode()


def sample(text: str, name: str, **labels: str) -> float | None:
    for family in text_string_to_metric_families(text):
        for each in family.samples:
            if each.name == name and labels.items() <= each.labels.items():
                return each.value
    return None


@pytest.mark.req("M0-W-1350", "SYS-10.1.1")
async def test_every_figure_has_its_name_type_and_labels_and_no_other(
    client: Connection, service: Service
) -> None:
    service.metrics.started(startup_s=1.5, model_load_s=0.5)
    await client.execute(max_tokens=2)
    await client.all_events()
    families = list(text_string_to_metric_families(await scrape(client)))

    for family in families:
        for each in family.samples:
            assert LABELS.items() <= each.labels.items()
            assert each.labels.keys() - LABELS.keys() <= {"le", "outcome"}

    assert TYPES == {family.name: family.type for family in families}


@pytest.mark.req("M0-W-1350")
async def test_a_job_is_counted_once_at_its_end(client: Connection) -> None:
    for number in range(2):
        await client.execute(f"job-{number}", max_tokens=3)
        await client.all_events()
    client.request("POST", "/execute", b'{"job_id": 7}')
    await client.reply()
    text = await scrape(client)

    assert 2.0 == sample(text, "worker_requests_total", outcome="success")
    assert None is sample(text, "worker_requests_total", outcome="error"), "a refusal is no job"
    assert (4.0, 6.0) == (
        sample(text, "worker_tokens_in_total"),
        sample(text, "worker_tokens_generated_total"),
    )
    assert 2.0 == sample(text, "worker_inference_duration_ms_count")
    assert (1.0, 1000.0) == (sample(text, "worker_healthy"), sample(text, "worker_vram_bytes"))


async def test_no_job_id_ever_becomes_a_label(client: Connection) -> None:
    await client.execute("tell-tale", max_tokens=1)
    await client.all_events()

    assert "tell-tale" not in await scrape(client)
