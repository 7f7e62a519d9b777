"""The server itself: starting, serving, stopping."""

import asyncio
import logging
import signal
import socket
import time

import pytest

from adapters_inbound.http.connection_guard import ConnectionLimits
from adapters_inbound.http.listener import bind
from adapters_inbound.http.server import HttpServer
from domain.errors import InvalidConfiguration
from tests.http.service import CountingIds, Service, pace
from tests.support.scripted_model import ScriptedModel


def refuses(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) != 0


async def test_a_bound_port_refuses_connections_until_the_server_starts() -> None:
    async with Service() as service:
        server = HttpServer(service.app, bind("127.0.0.1", 0), ids=CountingIds())
        before = refuses(server.port)
        await server.start()
        during = refuses(server.port)
        await server.stop(timeout_s=1)

    assert (True, False) == (before, during)


async def test_a_taken_port_is_a_wrong_setting() -> None:
    async with Service() as service:
        with pytest.raises(InvalidConfiguration, match=str(service.server.port)):
            bind("127.0.0.1", service.server.port)


@pytest.mark.parametrize(
    ("host", "port"), [("192.0.2.1", 0), ("127.0.0.1", 70_000), ("no.such.host.invalid", 0)]
)
def test_an_address_that_is_not_ours_is_a_wrong_setting(host: str, port: int) -> None:
    with pytest.raises(InvalidConfiguration):
        bind(host, port)


async def test_of_two_that_bound_one_port_the_second_to_listen_fails() -> None:
    async with Service() as service:
        first = HttpServer(service.app, bind("127.0.0.1", 0), ids=CountingIds())
        second = HttpServer(service.app, bind("127.0.0.1", first.port), ids=CountingIds())
        await first.start()
        with pytest.raises(InvalidConfiguration, match=str(first.port)):
            await second.start()
        await first.stop(timeout_s=1)


@pytest.mark.req("M0-W-1330")
async def test_stopping_lets_a_stream_end_and_refuses_new_connections() -> None:
    async with (
        Service(ScriptedModel(before_step=pace(0.005))) as service,
        await service.connect() as client,
        await service.connect() as idle,
    ):
        await client.execute(max_tokens=20)
        port = service.server.port
        stopping = asyncio.create_task(service.server.stop(timeout_s=5))
        await asyncio.sleep(0.01)
        refused = refuses(port)
        idle_closed = await idle.closed()
        events = await client.all_events()
        await stopping

    assert (True, True) == (refused, idle_closed)
    assert (22, "end") == (len(events), events[-1].name)


async def test_stopping_cuts_off_what_does_not_end_in_time() -> None:
    async with Service(ScriptedModel(before_step=pace(0.005))) as service, await service.connect() as client:
        await client.execute(max_tokens=2000)
        started_at = time.monotonic()
        await service.server.stop(timeout_s=0.05)
        elapsed_s = time.monotonic() - started_at
        await service.until_idle()

    assert elapsed_s < 0.5


async def test_stopping_twice_or_before_starting_does_no_harm() -> None:
    async with Service() as service:
        server = HttpServer(service.app, bind("127.0.0.1", 0), ids=CountingIds())
        await server.stop(timeout_s=1)
        await server.stop(timeout_s=1)

        assert refuses(server.port)


async def test_signals_are_left_alone() -> None:
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    async with Service():
        during = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]

    assert before == during


async def test_neither_output_carries_a_word_of_the_server(capfd: pytest.CaptureFixture[str]) -> None:
    async with Service() as service, await service.connect() as client:
        client.send(b"nonsense\r\n\r\n")
        await client.reply()
        async with await service.connect() as other:
            await other.execute(max_tokens=1)

    assert ("", "") == capfd.readouterr()
    assert logging.ERROR == logging.getLogger("uvicorn.error").level


async def test_keep_alive_lasts_longer_than_a_minute_and_names_no_server() -> None:
    assert ConnectionLimits().keep_alive_s >= 60
    async with Service() as service, await service.connect() as client:
        reply = await client.call("GET", "/health")

    assert None is reply.header("server")
    assert (reply.header("date") or "").endswith("GMT")


async def test_many_requests_of_all_kinds_share_one_connection_and_none_waits_for_an_ack() -> None:
    async with Service() as service, await service.connect() as client:
        started_at = time.monotonic()
        for number in range(100):
            assert (await client.call("GET", "/health")).status == 200
            assert (await client.execute(f"job-{number}", max_tokens=2)).status == 200
            assert (await client.all_events())[-1].name == "end"
            assert (await client.call("GET", "/nothing")).status == 404
            assert (await client.call("POST", "/nothing", b"x" * 100)).status == 404
        elapsed_s = time.monotonic() - started_at

    assert elapsed_s < 400 * 0.02  # with Nagle's algorithm each would take 40 ms


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with Service() as service, await service.connect() as client:
        for target in ("/health", "/nothing", "/health", "/execute") * 10:
            client.request("GET", target)
        statuses = [(await client.reply()).status for _ in range(40)]

    assert [200, 404, 200, 405] * 10 == statuses
