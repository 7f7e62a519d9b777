"""A page in a browser on the same machine can neither run a job, nor stop one, nor stop the worker."""

from collections.abc import AsyncIterator

import pytest

from tests.http.client import Connection
from tests.http.service import Service

JOB = b'{"job_id":"job","prompt":"hi","max_tokens":1}'


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with Service() as running:
        yield running


@pytest.fixture
async def client(service: Service) -> AsyncIterator[Connection]:
    async with await service.connect() as connection:
        yield connection


@pytest.mark.req("SYS-9.1.1")
@pytest.mark.parametrize("target", ["/execute", "/cancel", "/shutdown"])
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example", "content-type": "text/plain"},
        {"origin": "https://evil.example", "content-type": "application/json"},
        {"origin": "null"},
        {"origin": "http://evil.example:9001", "host": "evil.example:9001"},
        {"origin": "http://127.0.0.1:9001", "host": "127.0.0.1:9001"},
    ],
    ids=["form", "fetch", "sandbox", "rebound name", "page on this machine"],
)
async def test_a_post_of_a_web_page_is_refused(
    service: Service, client: Connection, target: str, headers: dict[str, str]
) -> None:
    reply = await client.call("POST", target, JOB, headers)

    assert (403, "INVALID_REQUEST", False) == (reply.status, reply.error["code"], reply.error["retriable"])
    assert reply.header("x-correlation-id") == reply.error["correlation_id"]
    assert ("ready", []) == (service.worker.state, service.narrator.events)


@pytest.mark.req("SYS-9.1.1")
async def test_an_empty_post_of_a_web_page_does_not_stop_the_worker(
    service: Service, client: Connection
) -> None:
    reply = await client.call("POST", "/shutdown", headers={"origin": "https://evil.example"})

    assert (403, [], "ready") == (reply.status, service.shutdown_requests, service.worker.state)


@pytest.mark.parametrize("method", ["OPTIONS", "GET"])
async def test_a_web_page_is_never_told_that_it_may(client: Connection, method: str) -> None:
    asks = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    reply = await client.call(method, "/execute" if method == "OPTIONS" else "/health", headers=asks)

    assert reply.status < 300
    assert not [name for name, _ in reply.headers if name.startswith("access-control")]


@pytest.mark.parametrize("host", ["127.0.0.1:9001", "gpu-7.internal", "worker", "[::1]:9001"])
async def test_other_callers_may_address_the_worker_as_they_like(client: Connection, host: str) -> None:
    reply = await client.execute(max_tokens=1, headers={"host": host})

    assert 200 == reply.status
