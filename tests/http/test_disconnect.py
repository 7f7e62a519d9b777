"""A client that goes away, however and whenever, frees its slot within 100 ms."""

import asyncio
import json
import threading
import time
from collections.abc import Callable

import pytest

from domain.worker import Limits
from tests.http.client import Connection
from tests.http.service import Service, pace
from tests.http.test_cancel import LONG_PROMPT, WaitingTokenizer
from tests.support.scripted_model import ScriptedModel

LIMIT_S = 0.1
LEAVING = [pytest.param(Connection.leave, id="fin"), pytest.param(Connection.reset, id="rst")]
Leave = Callable[[Connection], None]


class SilentPrefill:
    """A first step that produces nothing for as long as the job is wanted, in chunks of 5 ms."""

    def __init__(self) -> None:
        self.reached = threading.Event()

    def __call__(self, _: int) -> None:
        self.reached.set()
        time.sleep(0.005)


class PrefillModel(ScriptedModel):
    """Never gets to its first token."""

    def step(self) -> list[object]:  # type: ignore[override] # always empty
        super().step()
        return []


async def seconds_to_free(service: Service, leave: Callable[[], None]) -> float:
    leave()
    return await service.until_idle()


@pytest.mark.req("M0-W-1611", "M0-W-1610")
@pytest.mark.parametrize("leave", LEAVING)
async def test_in_decode(leave: Leave) -> None:
    async with Service(ScriptedModel(before_step=pace(0.005))) as service:
        client = await service.connect()
        await client.execute()
        for _ in range(3):
            await client.next_event()
        elapsed_s = await seconds_to_free(service, lambda: leave(client))

        assert elapsed_s < LIMIT_S
        assert 1 == len(service.narrator.named("client_disconnect"))
        assert ["cancelled"] == [event["outcome"] for event in service.narrator.named("execute_end")]
        assert {} == service.model.open


@pytest.mark.req("M0-W-1611")
@pytest.mark.parametrize("leave", LEAVING)
async def test_in_a_silent_prefill(leave: Leave) -> None:
    prefill = SilentPrefill()
    async with Service(PrefillModel(before_step=prefill)) as service:
        client = await service.connect()
        await client.execute()
        assert "started" == (await client.next_event()).name
        elapsed_s = await seconds_to_free(service, lambda: leave(client))

        assert elapsed_s < LIMIT_S
        assert {} == service.model.open


@pytest.mark.parametrize("leave", LEAVING)
async def test_while_the_text_is_tokenized(leave: Leave) -> None:
    tokenizer = WaitingTokenizer()
    async with Service(tokenizer=tokenizer) as service, await service.connect() as next_client:
        client = await service.connect()
        client.request("POST", "/execute", json.dumps({"job_id": "job"} | LONG_PROMPT).encode())
        await service.until_busy()
        elapsed_s = await seconds_to_free(service, lambda: leave(client))
        tokenizer.may_finish.set()
        reply = await next_client.execute("next", max_tokens=1)
        await next_client.all_events()

        assert elapsed_s < LIMIT_S
        assert 200 == reply.status
        assert 1 == len(service.narrator.named("client_disconnect"))
        assert [] == service.narrator.named("error")


@pytest.mark.parametrize("leave", LEAVING)
async def test_right_behind_its_request(leave: Leave) -> None:
    async with Service(ScriptedModel(before_step=pace(0.005))) as service:
        for number in range(20):
            client = await service.connect()
            client.request("POST", "/execute", b'{"job_id":"job-%d","prompt":"hi"}' % number)
            await asyncio.sleep(0.0005 * number)
            leave(client)
            assert await service.until_idle() < LIMIT_S
            await asyncio.sleep(0.005)
            assert await service.until_idle() < LIMIT_S


async def test_half_of_the_connection_closed_is_a_client_gone() -> None:
    async with Service(ScriptedModel(before_step=pace(0.005))) as service, await service.connect() as client:
        await client.execute()
        elapsed_s = await seconds_to_free(service, client.writer.write_eof)

        assert elapsed_s < LIMIT_S


@pytest.mark.parametrize("model", [ScriptedModel, PrefillModel])
async def test_with_another_request_pipelined_behind_the_stream(model: type[ScriptedModel]) -> None:
    async with Service(model(before_step=pace(0.005))) as service:
        client = await service.connect()
        await client.execute()
        client.request("GET", "/health")
        await client.next_event()
        await asyncio.sleep(0.01)
        elapsed_s = await seconds_to_free(service, client.leave)

        assert elapsed_s < LIMIT_S


async def test_a_fast_job_too() -> None:
    """A producer that always has a token ready must not keep its reader from noticing."""
    limits = Limits(max_model_len=10**9, max_tokens_in=100, max_tokens_out=10**8, vocab_size=300)
    async with Service(limits=limits) as service:
        client = await service.connect()
        await client.execute(max_tokens=10**8)
        for _ in range(100):
            await client.next_event()
        elapsed_s = await seconds_to_free(service, client.reset)

        assert elapsed_s < LIMIT_S


async def test_two_hundred_clients_leaving_at_once_leave_nothing_behind() -> None:
    model = ScriptedModel(before_step=pace(0.002), max_open=200)
    async with Service(model, num_slots=200) as service:
        clients = [await service.connect() for _ in range(200)]
        for number, client in enumerate(clients):
            client.request("POST", "/execute", b'{"job_id":"job-%d","prompt":"hi"}' % number)
        for client in clients:
            await client.head()
        for client in clients:
            client.reset()
        elapsed_s = await service.until_idle()
        await asyncio.sleep(0.01)

        assert elapsed_s < 2
        assert {} == model.open
        assert 200 == len(service.narrator.named("execute_end"))


async def test_a_client_that_leaves_after_the_end_has_not_left_its_job() -> None:
    async with Service() as service:
        client = await service.connect()
        await client.execute(max_tokens=2)
        await client.all_events()
        client.leave()
        await asyncio.sleep(0.02)

        assert [] == service.narrator.named("client_disconnect")
        assert ["success"] == [event["outcome"] for event in service.narrator.named("execute_end")]
