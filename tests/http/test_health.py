"""/health: what it says, and that it says it at once."""

import statistics
import time

import pytest

from domain.health import Ailment
from tests.http.client import Connection
from tests.http.service import Service, pace
from tests.support.scripted_model import ScriptedModel


async def milliseconds(client: Connection, num_calls: int) -> list[float]:
    elapsed_ms = []
    for _ in range(num_calls):
        started_at = time.monotonic()
        assert (await client.call("GET", "/health")).status == 200
        elapsed_ms.append(1000 * (time.monotonic() - started_at))
    return elapsed_ms


@pytest.mark.req("M0-W-1320", "SYS-6.3.6")
async def test_it_reports_every_field() -> None:
    async with Service() as service, await service.connect() as client:
        reply = await client.call("GET", "/health")

    body = reply.json
    assert 0 == body.pop("uptime_seconds")
    assert "application/json" == reply.header("content-type")
    assert {
        "status": "healthy",
        "model": "scripted",
        "resident": True,
        "quant_kind": "Q4_K_M",
        "vram_bytes_used": 1000,
        "tokenizer_kind": "gguf-bpe",
        "vocab_size": 300,
        "context_length": 64,
        "capabilities": ["text-gen"],
        "protocol": "sse",
        "worker_id": "00000000-0000-4000-8000-000000000001",
        "architecture": "llama",
        "state": "ready",
        "effective_context_length": 64,
        "memory_architecture": "vram-only",
        "eos_id": 257,
        "bos_id": 256,
    } == body


@pytest.mark.parametrize("target", ["/health", "/metrics"])
async def test_head_is_answered_as_get_without_the_body(target: str) -> None:
    async with Service() as service, await service.connect() as client:
        of_head = await client.call("HEAD", target)
        of_get = await client.call("GET", target)

    assert 200 == of_head.status == of_get.status
    assert [name for name, _ in of_get.headers] == [name for name, _ in of_head.headers]
    assert of_get.header("content-type") == of_head.header("content-type")
    assert int(of_head.header("content-length") or 0) > 0


@pytest.mark.req("M0-W-1320", "M0-W-1604")
@pytest.mark.parametrize(
    ("ailment", "resident"),
    [(Ailment.OUT_OF_MEMORY, True), (Ailment.RESIDENCY_LOST, False), (Ailment.DEVICE_LOST, False)],
)
async def test_an_unhealthy_worker_still_answers_200_and_says_why(ailment: Ailment, resident: bool) -> None:
    async with Service() as service, await service.connect() as client:
        service.health.worsen(ailment)
        reply = await client.call("GET", "/health")

    assert 200 == reply.status
    assert ("unhealthy", resident) == (reply.json["status"], reply.json["resident"])
    assert ailment.value == reply.json["unhealthy_reason"]


@pytest.mark.req("M0-W-1320")
async def test_it_answers_in_milliseconds_while_a_job_runs() -> None:
    model = ScriptedModel(before_step=pace(0.005))
    async with Service(model) as service, await service.connect() as client, await service.connect() as other:
        await client.execute()
        elapsed_ms = await milliseconds(other, 50)
        state = (await other.call("GET", "/health")).json["state"]

    assert "busy" == state
    assert statistics.median(elapsed_ms) < 10


@pytest.mark.req("M0-W-1320")
async def test_it_answers_in_milliseconds_while_a_hundred_half_open_requests_hang() -> None:
    async with Service() as service, await service.connect() as client:
        hanging = [await service.connect() for _ in range(100)]
        for number, connection in enumerate(hanging):
            connection.send(
                [b"", b"POST /exec", b"POST /execute HTTP/1.1\r\nhost: w\r\ncontent-length: 9\r\n"][
                    number % 3
                ]
            )
        elapsed_ms = await milliseconds(client, 50)
        for connection in hanging:
            connection.leave()

    assert statistics.median(elapsed_ms) < 10
