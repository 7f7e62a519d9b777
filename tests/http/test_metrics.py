"""`GET /metrics`: names, types and labels of spec §23.3, and what jobs add to them."""

from collections.abc import AsyncIterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.http.client import Connection
from tests.http.service import Service, pace
from tests.support.scripted_model import ScriptedModel
from tools.metrics_lint import CONTRACT, lint


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
    content_type = reply.header("content-type") or ""
    assert (200, True) == (reply.status, content_type.startswith("text/plain; "))
    assert 1 == content_type.count("charset=utf-8")
    return reply.body.decode()


def sample(text: str, name: str, **labels: str) -> float | None:
    for family in text_string_to_metric_families(text):
        for each in family.samples:
            if each.name == name and labels.items() <= each.labels.items():
                return each.value
    return None


@pytest.mark.req("M0-W-1350", "SYS-10.1.1")
async def test_names_types_labels_and_units_are_the_contracts_before_and_after_a_job(
    client: Connection, service: Service
) -> None:
    service.metrics.started(startup_s=1.5, model_load_s=0.5)

    assert [] == lint(await scrape(client))

    await client.execute(max_tokens=2)
    await client.all_events()

    assert [] == lint(await scrape(client))


@pytest.mark.req("M0-W-1350")
async def test_experts_are_counted_where_there_are_any(client: Connection) -> None:
    assert None is sample(await scrape(client), "worker_active_expert_count")
    async with Service(num_active_experts=4) as service, await service.connect() as other:
        text = await scrape(other)

    assert ([], 4.0) == (lint(text), sample(text, "worker_active_expert_count"))


@pytest.mark.req("M0-W-1350", "OBS-71xx")
async def test_every_figure_moves_with_what_it_counts() -> None:
    slow = ScriptedModel(before_step=pace(0.005))
    async with Service(slow) as service, await service.connect() as client, await service.connect() as other:
        before = await scrape(client)
        service.metrics.started(startup_s=1.5, model_load_s=0.5)
        await client.execute(max_tokens=3, headers={"x-deadline": "60000"})
        await client.all_events()
        await client.execute("stopped")
        await client.next_event()
        await other.call("POST", "/cancel", {"job_id": "stopped"})
        await client.all_events()
        after = await scrape(client)
    constant = {"worker_healthy", "worker_active_expert_count", "worker_vram_bytes"}
    moved = {name for name in CONTRACT if _value(after, name) != _value(before, name)}

    assert CONTRACT.keys() - constant == moved


def _value(text: str, name: str) -> float | None:
    is_histogram = CONTRACT[name].type == "histogram"
    return sample(text, f"{name}_count" if is_histogram else name)


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
