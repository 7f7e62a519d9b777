"""Cancelling a job: before it starts, while it runs, twice, too late, never seen."""

import json
import threading
import time
from typing import Any

import pytest

from tests.http.client import Connection
from tests.http.service import Service, pace
from tests.support.doubles import ByteTokenizer
from tests.support.scripted_model import ScriptedModel

JOB = {"job_id": "job"}
# Not tokenized between two events of the loop.
LONG_PROMPT = {"prompt": "hi " * 100}
LONG_STOPS = {"prompt": "hi " * 60, "stop": ["x" * 30] * 4}


class WaitingTokenizer(ByteTokenizer):
    """Encodes once it may."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.may_finish = threading.Event()

    def encode(self, text: str, *, add_bos: bool, parse_special: bool) -> list[int]:
        self.started.set()
        assert self.may_finish.wait(5)
        return super().encode(text, add_bos=add_bos, parse_special=parse_special)


def slow() -> ScriptedModel:
    return ScriptedModel(before_step=pace(0.005))


async def cancel(client: Connection, payload: Any) -> tuple[int, Any]:
    reply = await client.call("POST", "/cancel", payload)
    return reply.status, reply.json


@pytest.mark.req("M0-W-1330", "SYS-5.4.2")
async def test_a_running_job_ends_with_cancelled_within_100_ms() -> None:
    async with (
        Service(slow()) as service,
        await service.connect() as client,
        await service.connect() as other,
    ):
        await client.execute()
        for _ in range(3):
            await client.next_event()
        started_at = time.monotonic()
        answer = await cancel(other, JOB)
        *_, last = await client.all_events()
        elapsed_s = time.monotonic() - started_at

        assert (202, {"job_id": "job", "status": "accepted"}) == answer
        assert ("error", "CANCELLED", False) == (last.name, last.data["code"], last.data["retriable"])
        assert elapsed_s < 0.1
        assert service.worker.is_idle
        assert [] == service.narrator.named("client_disconnect")


@pytest.mark.req("M0-W-1330")
async def test_cancelling_again_changes_nothing() -> None:
    async with (
        Service(slow()) as service,
        await service.connect() as client,
        await service.connect() as other,
    ):
        await client.execute()
        answers = [(await cancel(other, JOB))[0] for _ in range(3)]
        names = [event.name for event in await client.all_events()]
        answers.append((await cancel(other, JOB))[0])

    assert [202] * 4 == answers
    assert 1 == names.count("error")
    assert "end" not in names


@pytest.mark.req("M0-W-1330")
@pytest.mark.parametrize("job_id", ["never-seen", "0", "x" * 256])
async def test_an_unknown_job_is_cancelled_already(job_id: str) -> None:
    async with Service() as service, await service.connect() as client:
        assert (202, {"job_id": job_id, "status": "accepted"}) == await cancel(client, {"job_id": job_id})


@pytest.mark.parametrize("text", [LONG_PROMPT, LONG_STOPS], ids=["prompt", "stops"])
async def test_a_cancel_while_the_text_is_tokenized_counts(text: dict[str, object]) -> None:
    tokenizer = WaitingTokenizer()
    async with (
        Service(slow(), tokenizer=tokenizer) as service,
        await service.connect() as client,
        await service.connect() as other,
    ):
        client.request("POST", "/execute", json.dumps(JOB | text).encode())
        await service.until_busy()
        await cancel(other, JOB)
        tokenizer.may_finish.set()
        await client.head()
        events = await client.all_events()

    assert ["started", "error"] == [event.name for event in events]
    assert "CANCELLED" == events[-1].data["code"]


@pytest.mark.req("M0-W-1330")
@pytest.mark.parametrize(
    ("payload", "constraint"),
    [({}, "required"), ({"job_id": 5}, "type(string)"), ({"job_id": ""}, "length(1..=256)"),
     ({"job_id": "a b"}, "pattern([A-Za-z0-9_-]+)")],
)  # fmt: skip
async def test_a_malformed_cancel_is_refused_with_its_field(payload: Any, constraint: str) -> None:
    async with Service() as service, await service.connect() as client:
        status, body = await cancel(client, payload)

    assert 400 == status
    assert [("job_id", constraint)] == [
        (error["field"], error["constraint"]) for error in body["error"]["details"]["errors"]
    ]
