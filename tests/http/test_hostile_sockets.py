"""Sockets of people who mean no good, or speak something else."""

import asyncio
import gc
import time
from contextlib import suppress

import pytest

from adapters_inbound.http.connection_guard import ConnectionGuard, ConnectionLimits
from tests.http.client import Connection
from tests.http.service import Service, pace
from tests.support.scripted_model import ScriptedModel

QUICK = ConnectionLimits(head_timeout_s=0.1, keep_alive_s=0.2)
CHUNKED_JSON = {"content-type": "application/json", "transfer-encoding": "chunked"}


async def closed_after_s(connection: Connection) -> float:
    started_at = time.monotonic()
    assert await connection.closed()
    return time.monotonic() - started_at


@pytest.mark.parametrize("start", [b"", b"GET /hea", b"GET /health HTTP/1.1\r\nhost: w\r\nx: ", b"\r\n"])
async def test_a_head_that_does_not_come_closes_the_connection(start: bytes) -> None:
    async with Service(connection=QUICK) as service, await service.connect() as client:
        client.send(start)

        assert await closed_after_s(client) < 1


async def test_a_head_that_drips_closes_the_connection() -> None:
    async with Service(connection=QUICK) as service, await service.connect() as client:
        client.send(b"GET /health HTTP/1.1\r\n")
        closing = asyncio.create_task(closed_after_s(client))
        while not closing.done():
            client.send(b"x: y\r\n")
            await asyncio.sleep(0.02)

        assert await closing < 1


@pytest.mark.parametrize("start", [b"", b"GET /hea", b"\r\n"])
async def test_a_second_head_that_does_not_come_closes_the_connection_too(start: bytes) -> None:
    async with Service(connection=QUICK) as service, await service.connect() as client:
        assert (await client.call("GET", "/health")).status == 200
        client.send(start)

        assert await closed_after_s(client) < 1


async def test_a_stream_longer_than_the_time_for_a_head_goes_on() -> None:
    model = ScriptedModel(before_step=pace(0.02))
    limits = ConnectionLimits(head_timeout_s=0.05, keep_alive_s=0.05)
    async with Service(model, connection=limits) as service, await service.connect() as client:
        await client.execute(max_tokens=10)

        assert "end" == (await client.all_events())[-1].name


@pytest.mark.parametrize("num_headers", [1, 50])
async def test_a_head_that_is_too_large_is_refused(num_headers: int) -> None:
    async with Service() as service, await service.connect() as client:
        headers = {f"x-{number}": "y" * (200_000 // num_headers) for number in range(num_headers)}
        client.request("GET", "/health", headers=headers)
        reply = await client.reply()

    assert (431, "INVALID_REQUEST") == (reply.status, reply.error["code"])
    assert reply.error["correlation_id"] == reply.header("x-correlation-id")


async def test_a_head_below_the_limit_is_taken() -> None:
    async with Service() as service, await service.connect() as client:
        reply = await client.call("GET", "/health", headers={"x": "y" * 32_000})

    assert 200 == reply.status


@pytest.mark.parametrize("piece_bytes", [1000, 40_000])
@pytest.mark.parametrize("num_headers", [1, 8])
@pytest.mark.parametrize(("head_bytes", "status"), [(32 * 1024, 200), (32 * 1024 + 1, 431)])
async def test_a_head_may_be_as_large_in_pieces_as_in_one(
    piece_bytes: int, num_headers: int, head_bytes: int, status: int
) -> None:
    counted_bytes = len("/health" + "host" + "w")
    each_bytes, rest_bytes = divmod(head_bytes - counted_bytes, num_headers)
    sizes = [each_bytes + rest_bytes] + [each_bytes] * (num_headers - 1)
    lines = ["GET /health HTTP/1.1", "host: w", *("x: " + "y" * (size - 1) for size in sizes), "", ""]
    head = "\r\n".join(lines).encode()
    async with Service() as service, await service.connect() as client:
        for start in range(0, len(head), piece_bytes):
            client.send(head[start : start + piece_bytes])
            await asyncio.sleep(0.001)
        reply = await client.reply()

    assert status == reply.status


@pytest.mark.parametrize("start", [b"0\r\nx: ", b"1;", b"1;x="], ids=["trailer", "extension", "value"])
async def test_a_line_without_end_behind_the_head_is_refused_too(start: bytes) -> None:
    async with Service() as service, await service.connect() as client:
        client.request("POST", "/cancel", None, CHUNKED_JSON)
        client.send(start)
        reply = asyncio.create_task(client.reply())
        while not reply.done():
            client.send(b"y" * 4096)
            await asyncio.sleep(0.005)

        assert 431 == (await reply).status


async def test_a_head_that_grows_without_end_is_refused_on_the_way() -> None:
    async with Service() as service, await service.connect() as client:
        client.send(b"GET /health HTTP/1.1\r\nx: ")
        reply = asyncio.create_task(client.reply())
        while not reply.done():
            client.send(b"y" * 4096)
            await asyncio.sleep(0.005)

        assert 431 == (await reply).status


async def test_trailers_count_as_headers() -> None:
    async with Service() as service, await service.connect() as client:
        client.request("POST", "/execute", None, CHUNKED_JSON)
        client.send(b"1\r\n{\r\n0\r\n" + b"".join(b"x: %b\r\n" % (b"y" * 1000) for _ in range(100)))

        assert 431 == (await client.reply()).status


@pytest.mark.parametrize(
    "nonsense",
    [
        pytest.param(b"nonsense\r\n\r\n", id="nonsense"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="tls-hello"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="h2-preface"),
        pytest.param(b"GET /health\r\n\r\n", id="http-0.9"),
        pytest.param(b"CONNECT w:80 HTTP/1.1\r\nhost: w\r\n\r\n", id="connect"),
        pytest.param(b"OPTIONS * HTTP/1.1\r\nhost: w\r\n\r\n", id="options-star"),
        pytest.param(b"GET /\xff HTTP/1.1\r\nhost: w\r\n\r\n", id="target-not-ascii"),
        pytest.param(b"GET /%00%ff HTTP/1.1\r\nhost: w\r\n\r\n", id="target-escapes"),
        pytest.param(b"GET /health HTTP/1.1\r\nhost: a b\r\n\r\n", id="odd-host"),
        pytest.param(
            b"POST /execute HTTP/1.1\r\nhost: w\r\n"
            b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            id="length-and-chunked",
        ),
        pytest.param(
            b"POST /execute HTTP/1.1\r\nhost: w\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
            id="two-lengths",
        ),
        pytest.param(
            b"POST /execute HTTP/1.1\r\nhost: w\r\ncontent-length: -1\r\n\r\n", id="negative-length"
        ),
        pytest.param(b"POST /execute HTTP/1.1\r\nhost: w\r\ncontent-length: 1e3\r\n\r\n", id="odd-length"),
        pytest.param(
            b"POST /execute HTTP/1.1\r\nhost: w\r\ncontent-type: application/json\r\n"
            b"transfer-encoding: chunked\r\n\r\nzz\r\n",
            id="bad-chunk",
        ),
    ],
)
async def test_what_is_no_request_is_refused_in_the_same_envelope(nonsense: bytes) -> None:
    async with Service() as service, await service.connect() as client:
        client.send(nonsense)
        reply = await client.reply()

        assert reply.status in (400, 404, 405)
        assert ("INVALID_REQUEST", False) == (reply.error["code"], reply.error["retriable"])
        assert reply.header("x-correlation-id") == reply.error["correlation_id"]
        assert [] == service.narrator.events


@pytest.mark.parametrize("hosts", ["", "host: w\r\nhost: w\r\n"], ids=["none", "two"])
async def test_a_request_has_one_host(hosts: str) -> None:
    async with Service() as service, await service.connect() as client:
        client.send(f"GET /health HTTP/1.1\r\n{hosts}\r\n".encode())
        reply = await client.reply()

    assert (400, "INVALID_REQUEST") == (reply.status, reply.error["code"])
    assert "Host" in reply.error["message"]


@pytest.mark.parametrize(
    "coding", ["gzip, chunked", "gzip", "identity", "gzip\r\ntransfer-encoding: chunked"]
)
async def test_a_body_is_in_chunks_or_in_no_coding(coding: str) -> None:
    async with Service() as service, await service.connect() as client:
        head = {"content-type": "application/json", "transfer-encoding": coding}
        client.request("POST", "/cancel", None, head)
        client.send(b"e\r\n" + b'{"job_id":"j"}' + b"\r\n0\r\n\r\n")
        reply = await client.reply()

    assert (501, "INVALID_REQUEST") == (reply.status, reply.error["code"])
    assert "Transfer-Encoding" in reply.error["message"]


async def test_a_coding_may_be_written_in_capitals() -> None:
    async with Service() as service, await service.connect() as client:
        client.request("POST", "/cancel", None, {**CHUNKED_JSON, "transfer-encoding": "Chunked"})
        client.send(b"e\r\n" + b'{"job_id":"j"}' + b"\r\n0\r\n\r\n")

        assert 202 == (await client.reply()).status


async def test_more_pipelined_requests_than_are_taken_are_refused_however_few_packets_bring_them() -> None:
    limits = ConnectionLimits(max_pipelined=3)
    async with Service(connection=limits) as service, await service.connect() as client:
        client.send(5 * b"GET /health HTTP/1.1\r\nhost: w\r\n\r\n")
        statuses = [(await client.reply()).status for _ in range(5)]
        closed = await client.closed()

    assert [200, 200, 200, 200, 400] == statuses
    assert closed


async def test_thousands_of_requests_in_one_packet_do_not_hold_the_others_up() -> None:
    async with Service() as service, await service.connect() as client, await service.connect() as other:
        client.send(9000 * b"GET / HTTP/1.1\r\nhost: w\r\n\r\n")
        started_at = time.monotonic()
        for _ in range(20):
            assert (await other.call("GET", "/health")).status == 200
        elapsed_s = time.monotonic() - started_at

    assert elapsed_s < 0.5


async def test_what_came_before_nonsense_is_answered_before_it() -> None:
    job = b'{"job_id":"j","prompt":"hi","max_tokens":2}'
    async with Service() as service, await service.connect() as client:
        client.send(
            b"GET /health HTTP/1.1\r\nhost: w\r\n\r\n"
            b"POST /execute HTTP/1.1\r\nhost: w\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\n\r\n%bnonsense\r\n\r\n" % (len(job), job)
        )
        health = await client.reply()
        stream = await client.head()
        events = await client.all_events()
        refusal = await client.reply()
        closed = await client.closed()

    assert [200, 200, 400] == [health.status, stream[0], refusal.status]
    assert "end" == events[-1].name
    assert closed


async def test_a_body_that_breaks_off_in_nonsense_is_answered_once() -> None:
    async with Service() as service, await service.connect() as client:
        client.send(
            b"GET /health HTTP/1.1\r\nhost: w\r\n\r\n"
            b"POST /nothing HTTP/1.1\r\nhost: w\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"
        )
        statuses = [(await client.reply()).status for _ in range(2)]
        closed = await client.closed()

    assert [200, 400] == statuses
    assert closed


async def test_nonsense_behind_a_stream_never_lands_in_it() -> None:
    async with Service(ScriptedModel(before_step=pace(0.005))) as service, await service.connect() as client:
        await client.execute()
        await client.next_event()
        client.send(b"nonsense\r\n\r\n")
        elapsed_s = await service.until_idle()
        rest = b""
        with suppress(ConnectionError):
            rest = await client.reader.read()

    assert elapsed_s < 0.1
    assert b"HTTP/1.1" not in rest


def offer(protocol: str, connection: str = "Upgrade, HTTP2-Settings") -> dict[str, str]:
    """What Java's client and others put on every request."""
    return {"connection": connection, "upgrade": protocol, "http2-settings": "AAMAAABkAAQ"}


@pytest.mark.parametrize("protocol", ["h2c", "websocket"])
async def test_an_upgrade_is_not_taken_up_and_does_no_harm(protocol: str) -> None:
    async with Service() as service, await service.connect() as client:
        for _ in range(2):
            health = await client.call("GET", "/health", headers=offer(protocol))
            cancel = await client.call("POST", "/cancel", {"job_id": "j"}, offer(protocol))

            assert [200, 202] == [health.status, cancel.status]
            assert {None} == {reply.header("connection") for reply in (health, cancel)}


@pytest.mark.parametrize("piece_bytes", [1, 100, 10_000])
async def test_requests_that_offer_an_upgrade_are_read_in_pieces_and_in_one(piece_bytes: int) -> None:
    body = b'{"job_id":"j"}'
    lines = "".join(f"{name}: {value}\r\n" for name, value in offer("h2c").items()).encode()
    head = b"POST /cancel HTTP/1.1\r\nhost: w\r\ncontent-type: application/json\r\n" + lines
    requests = 2 * (
        head
        + b"content-length: %d\r\n\r\n%b" % (len(body), body)
        + head
        + b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\nx: y\r\n\r\n" % (len(body), body)
    )
    async with Service() as service, await service.connect() as client:
        for start in range(0, len(requests), piece_bytes):
            client.send(requests[start : start + piece_bytes])
            await asyncio.sleep(0)
        replies = [await client.reply() for _ in range(4)]

    assert [202] * 4 == [reply.status for reply in replies]


async def test_an_offer_of_an_upgrade_changes_nothing_else_about_a_request() -> None:
    async with Service() as service, await service.connect() as client:
        smuggled = {**offer("h2c"), "content-length": "5", "transfer-encoding": "chunked"}
        reply = await client.call("POST", "/cancel", b"0\r\n\r\n", smuggled)

        assert 400 == reply.status
    async with Service() as service, await service.connect() as client:
        reply = await client.execute(headers=offer("h2c", "close, Upgrade"), max_tokens=1)
        events = await client.all_events()

        assert (200, "close", "end") == (reply.status, reply.header("connection"), events[-1].name)
        assert await client.closed()


@pytest.mark.parametrize(
    "refused",
    [
        pytest.param(b"GET /health HTTP/1.1\r\nx: " + b"y" * 40_000 + b"\r\n\r\n", id="too-large"),
        pytest.param(b"GET /health HTTP/2.0\r\nhost: w\r\n\r\n", id="version"),
        pytest.param(b"nonsense\r\n\r\n", id="nonsense"),
    ],
)
async def test_nothing_of_a_refused_connection_is_kept(refused: bytes) -> None:
    async with Service() as service:
        for _ in range(5):
            async with await service.connect() as client:
                client.send(refused)
                assert (await client.reply()).status in (400, 431)
                assert await client.closed()
        async with asyncio.timeout(5):
            while num_guards_alive():  # noqa: ASYNC110 - the collector offers no event
                await asyncio.sleep(0.01)


def num_guards_alive() -> int:
    gc.collect()
    return sum(type(each) is ConnectionGuard for each in gc.get_objects())
