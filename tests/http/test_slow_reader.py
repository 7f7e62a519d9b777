"""A client that reads slowly, or not at all, costs the device nothing."""

import asyncio
import time

import pytest

from tests.http.client import Connection
from tests.http.service import Service, pace
from tests.support.doubles import ByteTokenizer
from tests.support.scripted_model import ScriptedModel

KIB = 1024


class LongWords(ByteTokenizer):
    """Every byte stands for a kibibyte of it, so that few tokens fill a socket."""

    def decode_bytes(self, token_id: int) -> bytes:
        return super().decode_bytes(token_id) * KIB


async def start_unread(service: Service) -> Connection:
    """A client that asks and then leaves what comes in its small buffer."""
    client = await Connection.open(service.server.port, receive_buffer_bytes=4 * KIB)
    client.writer.transport.pause_reading()  # type: ignore[attr-defined] # a socket's transport reads too
    client.request("POST", "/execute", b'{"job_id":"job","prompt":"hi","max_tokens":2048}', {})
    await service.until_busy()
    return client


@pytest.mark.req("M0-W-1310")
async def test_a_slow_reader_stalls_nothing_and_loses_nothing() -> None:
    async with Service(tokenizer=LongWords()) as service, await service.connect() as other:
        client = await start_unread(service)
        await service.until_idle(timeout_s=5)  # the job runs to its end although nobody reads
        reply = await other.execute("other", max_tokens=1)
        await other.all_events()
        client.writer.transport.resume_reading()  # type: ignore[attr-defined] # as above
        await client.head()
        started, *tokens, end = await client.all_events()

        assert 200 == reply.status
        assert ("started", "end") == (started.name, end.name)
        assert 2048 == sum(len(token.data["ids"]) for token in tokens)
        assert 2048 * KIB == sum(len(token.data["t"]) for token in tokens)
        assert list(range(len(tokens))) == [token.data["i"] for token in tokens]
        client.leave()


@pytest.mark.req("M0-W-1611")
async def test_a_client_that_never_reads_is_cut_off_and_its_job_with_it() -> None:
    # Faster than the buffers of two sockets together, slower than the send timeout.
    model = ScriptedModel(before_step=pace(0.0005))
    async with Service(
        model,
        tokenizer=LongWordsTimes16(),
        options={"send_timeout_s": 0.1},
    ) as service:
        client = await start_unread(service)
        await service.until_idle(timeout_s=4)

        assert 1 == len(service.narrator.named("client_disconnect"))
        assert [] == service.narrator.named("error")
        client.leave()


class LongWordsTimes16(ByteTokenizer):
    """Every byte stands for sixteen kibibytes of it."""

    def decode_bytes(self, token_id: int) -> bytes:
        return super().decode_bytes(token_id) * 16 * KIB


async def test_health_answers_while_a_client_does_not_read() -> None:
    async with Service(tokenizer=LongWords()) as service, await service.connect() as other:
        client = await start_unread(service)
        started_at = time.monotonic()
        for _ in range(10):
            assert (await other.call("GET", "/health")).status == 200
            await asyncio.sleep(0.005)

        assert time.monotonic() - started_at < 1
        client.leave()
