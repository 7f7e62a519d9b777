"""Who gets the slot, in which order a request is judged, and what a refusal looks like."""

import pytest

from domain.health import Ailment
from tests.http.client import Reply
from tests.http.service import Service, pace
from tests.support.scripted_model import ScriptedModel

NONSENSE = b"\xff"


def slow() -> ScriptedModel:
    return ScriptedModel(before_step=pace(0.005))


def outcome(reply: Reply) -> tuple[int, str, bool, str | None]:
    return reply.status, reply.error["code"], reply.error["retriable"], reply.header("retry-after")


@pytest.mark.req("M0-W-1301", "SYS-8.2.2")
async def test_a_second_job_is_refused_at_once_while_one_runs() -> None:
    async with (
        Service(slow()) as service,
        await service.connect() as first,
        await service.connect() as second,
    ):
        await first.execute("a")
        reply = await second.execute("b")

        assert (503, "WORKER_BUSY", True, "1") == outcome(reply)
        assert "busy" == service.worker.state


@pytest.mark.req("M0-W-1301")
async def test_the_job_that_runs_is_a_duplicate_of_itself() -> None:
    async with (
        Service(slow()) as service,
        await service.connect() as first,
        await service.connect() as second,
    ):
        await first.execute("a")
        reply = await second.execute("a")

        assert (409, "INVALID_REQUEST", False, None) == outcome(reply)


async def test_a_finished_job_may_run_again() -> None:
    async with Service() as service, await service.connect() as client:
        for _ in range(2):
            assert (await client.execute("a", max_tokens=1)).status == 200
            await client.all_events()


async def test_fields_are_judged_before_the_slot_is() -> None:
    async with (
        Service(slow()) as service,
        await service.connect() as first,
        await service.connect() as second,
    ):
        await first.execute("a")

        assert 400 == (await second.execute("b", max_tokens=0)).status
        assert 400 == (await second.call("POST", "/execute", NONSENSE)).status


@pytest.mark.req("SYS-6.3.5")
async def test_a_draining_worker_refuses_everything_and_finishes_what_runs() -> None:
    async with (
        Service(slow()) as service,
        await service.connect() as first,
        await service.connect() as second,
    ):
        await first.execute("a", max_tokens=5)
        service.worker.drain()
        refusals = [
            await second.execute("b"),
            await second.call("POST", "/execute", NONSENSE),
            await second.call("POST", "/execute", b"x", {"content-type": "text/plain"}),
        ]
        health = await second.call("GET", "/health")
        cancelled = await second.call("POST", "/cancel", {"job_id": "other"})

        assert [(503, "SHUTTING_DOWN", True, "1")] * 3 == [outcome(reply) for reply in refusals]
        assert "draining" == health.json["state"]
        assert 202 == cancelled.status
        assert "end" == (await first.all_events())[-1].name


@pytest.mark.parametrize("ailment", [Ailment.RESIDENCY_LOST, Ailment.DEVICE_LOST])
async def test_a_worker_that_lost_its_memory_refuses_everything(ailment: Ailment) -> None:
    async with Service() as service, await service.connect() as client:
        service.health.worsen(ailment)
        refusals = [await client.execute("b"), await client.call("POST", "/execute", NONSENSE)]

    assert [(503, "WORKER_UNHEALTHY", False, "1")] * 2 == [outcome(reply) for reply in refusals]


async def test_two_slots_run_two_jobs_at_a_time() -> None:
    async with (
        Service(slow(), num_slots=2) as service,
        await service.connect() as first,
        await service.connect() as second,
        await service.connect() as third,
    ):
        await first.execute("a", max_tokens=20)
        await second.execute("b", max_tokens=20)
        refusal = await third.execute("c")
        ends = [(await first.all_events())[-1].name, (await second.all_events())[-1].name]

    assert 503 == refusal.status
    assert ["end", "end"] == ends


@pytest.mark.req("M0-W-1101")
async def test_a_job_that_takes_too_long_ends_with_a_timeout() -> None:
    async with Service(slow(), inference_timeout_s=0.05) as service, await service.connect() as client:
        await client.execute("a")
        last = (await client.all_events())[-1]

    assert ("error", "INFERENCE_TIMEOUT", True) == (last.name, last.data["code"], last.data["retriable"])
