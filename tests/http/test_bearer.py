"""With a token configured, nothing but /health is open."""

from collections.abc import AsyncIterator

import pytest

from tests.http.client import Connection
from tests.http.service import Service

TOKEN = "s3cret-t0ken"
JOB = {"job_id": "j", "prompt": "hi", "max_tokens": 1}


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with Service(options={"bearer_token": TOKEN}) as running:
        yield running


@pytest.fixture
async def client(service: Service) -> AsyncIterator[Connection]:
    async with await service.connect() as connection:
        yield connection


@pytest.mark.req("SYS-9.1.1")
@pytest.mark.parametrize(
    "authorization",
    [None, "", TOKEN, "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}",
     f"Bearer {TOKEN.upper()}", f"Bearer {TOKEN} {TOKEN}", "Bearer " + "x" * 20_000, "Bearer \xe9"],
)  # fmt: skip
async def test_without_the_token_a_job_is_refused(
    service: Service, client: Connection, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"authorization": authorization}
    reply = await client.call("POST", "/execute", JOB, headers)

    assert (401, "Bearer") == (reply.status, reply.header("www-authenticate"))
    assert ("INVALID_REQUEST", False) == (reply.error["code"], reply.error["retriable"])
    assert [] == service.narrator.events


async def test_the_token_may_be_sent_once_only(client: Connection) -> None:
    line = f"authorization: Bearer {TOKEN}\r\n"
    client.send(f"POST /cancel HTTP/1.1\r\nhost: w\r\ncontent-length: 0\r\n{line}{line}\r\n".encode())

    assert 401 == (await client.reply()).status


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_with_the_token_it_runs(service: Service, client: Connection, scheme: str) -> None:
    reply = await client.execute(max_tokens=1, headers={"authorization": f"{scheme} {TOKEN}"})
    await client.all_events()

    assert 200 == reply.status
    assert TOKEN not in str(service.narrator.events)


@pytest.mark.parametrize(
    ("method", "target"),
    [("POST", "/cancel"), ("GET", "/nothing"), ("GET", "/execute"), ("GET", "/metrics"), ("GET", "/health/"),
     ("OPTIONS", "/execute"), ("GET", "//health")],
)  # fmt: skip
async def test_every_other_path_is_closed_whether_it_exists_or_not(
    client: Connection, method: str, target: str
) -> None:
    assert 401 == (await client.call(method, target)).status


async def test_health_is_open(client: Connection) -> None:
    assert 200 == (await client.call("GET", "/health")).status


async def test_without_a_token_configured_nobody_is_asked() -> None:
    async with Service() as open_service, await open_service.connect() as client:
        assert 202 == (await client.call("POST", "/cancel", {"job_id": "j"})).status
