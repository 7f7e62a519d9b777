"""The last answer on a connection reaches a client that is still sending."""

import asyncio
import socket
import time
from contextlib import suppress

import pytest

from adapters_inbound.http.connection_guard import ConnectionLimits
from tests.http.client import Connection
from tests.http.service import Service

NUM_BYTES = 16 * 2**20  # more than socket buffers take
POST = b"POST /execute HTTP/1.1\r\nhost: w\r\ncontent-type: application/json\r\n"


def answer_after_sending(port: int, data: bytes) -> bytes:
    """What a client reads that sends everything before it reads anything."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(data)
        answer = b""
        while received := client.recv(65_536):
            answer += received
        return answer


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(b"%bcontent-length: %d\r\n\r\n" % (POST, NUM_BYTES), b"413", id="length"),
        pytest.param(b"%btransfer-encoding: chunked\r\n\r\n%x\r\n" % (POST, NUM_BYTES), b"413", id="chunked"),
        pytest.param(
            b"%bconnection: close\r\ncontent-length: 10\r\n\r\n{}        " % POST, b"400", id="behind"
        ),
        pytest.param(b"GET /health HTTP/1.1\r\nhost: w\r\nx: ", b"431", id="head"),
        pytest.param(b"nonsense\r\n\r\n", b"400", id="nonsense"),
    ],
)
async def test_it_arrives(data: bytes, status: bytes) -> None:
    async with Service() as service:
        data = data.ljust(NUM_BYTES, b"y")
        answer = await asyncio.to_thread(answer_after_sending, service.server.port, data)

    assert answer.startswith(b"HTTP/1.1 %b " % status)
    assert answer.endswith(b"}}")


async def test_it_arrives_behind_more_than_the_socket_takes_at_once() -> None:
    num_requests = 60
    async with Service() as service:
        opening = Connection.open(service.server.port, receive_buffer_bytes=4096)
        async with await opening as client:
            for _ in range(num_requests - 1):
                client.request("GET", "/metrics")
            client.request("GET", "/metrics", headers={"connection": "close"})
            await asyncio.sleep(0.1)
            replies = [await client.reply() for _ in range(num_requests)]

            assert [200] * num_requests == [reply.status for reply in replies]
            assert await client.closed()


@pytest.mark.parametrize(
    "limits", [ConnectionLimits(linger_s=0.1), ConnectionLimits(max_linger_bytes=1000)], ids=["time", "bytes"]
)
async def test_a_client_that_goes_on_sending_is_cut_off(limits: ConnectionLimits) -> None:
    async with Service(connection=limits) as service, await service.connect() as client:
        client.send(b"nonsense\r\n\r\n")
        await client.reply()
        started_at = time.monotonic()
        with suppress(ConnectionError):
            while time.monotonic() < started_at + 5:
                client.send(b"y" * 100)
                await client.writer.drain()
                await asyncio.sleep(0.01)

        assert time.monotonic() - started_at < 1


async def test_a_client_that_sends_no_more_and_stays_is_closed_at_once_when_the_server_stops() -> None:
    async with Service() as service, await service.connect() as client, await service.connect() as other:
        client.send(b"nonsense\r\n\r\n")
        other.send(b"GET /hea")
        await client.reply()
        started_at = time.monotonic()
        await service.server.stop(timeout_s=5)

        assert time.monotonic() - started_at < 1
        assert await closed(client, other)


async def closed(*connections: Connection) -> bool:
    return all([await connection.closed() for connection in connections])
