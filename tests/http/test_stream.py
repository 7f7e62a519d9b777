"""The stream of one job: its events, their order, their fields."""

import asyncio
import statistics
import time
from typing import Any, cast

import pytest
from litestar.types import HTTPReceiveMessage, Message, Scope

from domain.errors import DeviceError, VramExhausted
from domain.worker import Limits
from tests.http.client import Connection, Event
from tests.http.service import Service, pace
from tests.support.scripted_model import ScriptedModel

EOS = 257


async def run(client: Connection, job_id: str = "job", **fields: Any) -> list[Event]:
    assert (await client.execute(job_id, **fields)).status == 200
    return await client.all_events()


@pytest.mark.req("M0-W-1300", "M0-W-1310", "M0-W-1311", "M0-W-1312")
async def test_a_job_is_answered_with_started_its_tokens_and_end() -> None:
    async with Service() as service, await service.connect() as client:
        head = await client.execute("j-1", max_tokens=4, seed=7, headers={"x-correlation-id": "cid-1"})
        started, *tokens, end = await client.all_events()

    assert 200 == head.status
    assert "text/event-stream" == head.header("content-type")
    assert "no-cache" == head.header("cache-control")
    assert "no" == head.header("x-accel-buffering")
    assert "cid-1" == head.header("x-correlation-id")
    assert "started" == started.name
    assert started.data.pop("started_at").endswith("Z")
    assert {"job_id": "j-1", "model": "scripted", "seed": 7, "correlation_id": "cid-1"} == started.data
    assert [Event("token", {"t": t, "i": i, "ids": [ord(t)]}) for i, t in enumerate("abca")] == tokens
    assert "end" == end.name
    assert isinstance(end.data.pop("decode_time_ms"), int)
    assert {"tokens_out": 4, "tokens_in": 2, "stop_reason": "MAX_TOKENS", "seed": 7} == end.data


@pytest.mark.req("M0-W-1312")
async def test_an_answer_without_tokens_is_started_and_end() -> None:
    async with Service(ScriptedModel([EOS])) as service, await service.connect() as client:
        events = await run(client)

    assert ["started", "end"] == [event.name for event in events]
    assert ("EOS", 0) == (events[-1].data["stop_reason"], events[-1].data["tokens_out"])


@pytest.mark.req("M0-W-1422", "M0-W-1310")
async def test_a_stop_sequence_is_named_and_its_ids_are_accounted_for() -> None:
    async with Service(ScriptedModel(b"abcd")) as service, await service.connect() as client:
        *_, token, end = await run(client, stop=["bc"])

    assert {"t": "a", "i": 0, "ids": [97]} == token.data
    assert "STOP_SEQUENCE" == end.data["stop_reason"]
    assert "bc" == end.data["stop_sequence_matched"]
    assert [98, 99] == end.data["ids"]


@pytest.mark.req("M0-W-1361", "M0-W-1362")
async def test_characters_of_many_bytes_arrive_whole_and_unescaped() -> None:
    text = "é😀中"
    answer = [*text.encode(), EOS]
    async with Service(ScriptedModel(answer)) as service, await service.connect() as client:
        await client.execute()
        messages = []
        while message := await client.chunk():
            messages.append(message)

    assert [f'"t":"{char}"' in message.decode() for char, message in zip(text, messages[1:-1], strict=True)]
    assert 2 + len(text) == len(messages)


@pytest.mark.parametrize(
    "text", ["\n\nevent: end\ndata: {}\n\n", "\r\n\r", "\u2028\u2029\u0085", ": ping\n\n"]
)
async def test_text_that_looks_like_framing_stays_text(text: str) -> None:
    answer = [*text.encode(), EOS]
    async with Service(ScriptedModel(answer)) as service, await service.connect() as client:
        events = await run(client)

    assert text == "".join(event.data["t"] for event in events if event.name == "token")
    assert 1 == [event.name for event in events].count("end")


@pytest.mark.req("M0-W-1310")
@pytest.mark.parametrize(
    ("error", "code", "retriable"),
    [
        (VramExhausted(required_bytes=2, available_bytes=1), "VRAM_OOM", False),
        (DeviceError("the launch failed"), "CUDA_ERROR", True),
        (ValueError("a defect"), "INTERNAL", True),
    ],
)
async def test_a_failing_step_ends_the_stream_with_one_error(
    error: Exception, code: str, retriable: bool
) -> None:
    def fail(step: int) -> None:
        if step == 2:
            raise error

    model = ScriptedModel(before_step=fail)
    async with Service(model) as service, await service.connect() as client:
        events = await run(client, headers={"x-correlation-id": "cid"})

    assert ["started", "token", "token", "error"] == [event.name for event in events]
    assert (code, retriable) == (events[-1].data["code"], events[-1].data["retriable"])
    assert "cid" == events[-1].data["correlation_id"]
    assert {"code", "message", "retriable", "correlation_id"} == set(events[-1].data)


@pytest.mark.req("M0-W-1312")
async def test_a_job_that_gets_no_memory_still_starts_with_started() -> None:
    async with Service(ScriptedModel(max_open=0)) as service, await service.connect() as client:
        events = await run(client)

    assert ["started", "error"] == [event.name for event in events]
    assert "VRAM_OOM" == events[-1].data["code"]


async def test_a_silent_stream_carries_comments() -> None:
    model = ScriptedModel(before_step=pace(0.1))
    async with Service(model, options={"ping_s": 0.02}) as service, await service.connect() as client:
        await client.execute(max_tokens=1)
        await client.chunk()
        comment = await client.chunk()
        events = await client.all_events()

    assert b": ping\n\n" == comment
    assert ["token", "end"] == [event.name for event in events]


@pytest.mark.req("M0-W-1301", "SYS-8.2.2")
async def test_who_has_read_the_terminal_event_is_admitted_at_once_a_hundred_times_in_a_row() -> None:
    async with Service() as service, await service.connect() as client:
        ends = [(await run(client, f"job-{number}", max_tokens=2))[-1] for number in range(100)]

    assert ["end"] * 100 == [end.name for end in ends]


async def test_the_slot_is_free_when_the_terminal_event_is_on_the_wire() -> None:
    async with Service() as service, await service.connect() as first, await service.connect() as second:
        for number in range(100):
            await first.execute(f"a{number}", max_tokens=1)
            while (await first.next_event()).name != "end":
                pass
            # The first response is not complete yet: its last chunk has not been read.
            reply = await second.execute(f"b{number}", max_tokens=1)
            await second.all_events()
            await first.chunk()

            assert 200 == reply.status


async def test_every_event_lets_the_loop_turn_even_if_sending_never_waits() -> None:
    turns = 0
    turns_at_send: list[int] = []
    bodies = [b'{"job_id":"j","prompt":"hi"}']

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def receive() -> HTTPReceiveMessage:
        if not bodies:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": bodies.pop(), "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            time.sleep(0.05)  # noqa: ASYNC251 - so that many events wait for the loop
        turns_at_send.append(turns)

    async with Service() as service:
        counter = asyncio.create_task(count_turns())
        path, headers = "/execute", [(b"content-type", b"application/json")]
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "headers": headers,
        }
        await service.app(cast("Scope", scope), receive, send)
        counter.cancel()

    assert len(turns_at_send) > 60
    assert len(turns_at_send) - 2 <= len(set(turns_at_send))


async def test_a_fast_job_does_not_starve_other_requests() -> None:
    limits = Limits(max_model_len=10**9, max_tokens_in=100, max_tokens_out=10**8, vocab_size=300)
    async with (
        Service(limits=limits) as service,
        await service.connect() as client,
        await service.connect() as other,
    ):
        await client.execute(max_tokens=10**8)
        elapsed_s = []
        for _ in range(20):
            await client.next_event()
            started_at = time.monotonic()
            await other.call("GET", "/health")
            elapsed_s.append(time.monotonic() - started_at)
        client.leave()
        await service.until_idle()

    assert statistics.median(elapsed_s) < 0.1
