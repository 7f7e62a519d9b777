"""X-Correlation-Id: accepted where it is harmless, made where it is not, echoed on everything."""

from collections.abc import AsyncIterator

import pytest

from tests.http.client import Connection
from tests.http.service import Service

JOB = {"job_id": "j", "prompt": "hi", "max_tokens": 1}


@pytest.fixture
async def client() -> AsyncIterator[Connection]:
    async with Service(options={"bearer_token": "secret"}) as service, await service.connect() as connection:
        yield connection


@pytest.mark.req("SYS-5.6.1", "SYS-10.3.1", "NARR-2004")
@pytest.mark.parametrize(
    ("method", "target", "payload", "headers", "status"),
    [
        ("POST", "/execute", JOB, {}, 200),
        ("GET", "/health", None, {}, 200),
        ("POST", "/cancel", {"job_id": "j"}, {}, 202),
        ("OPTIONS", "/execute", None, {}, 204),
        ("POST", "/execute", {}, {}, 400),
        ("POST", "/execute", b"\xff", {}, 400),
        ("POST", "/execute", JOB, {"authorization": "Bearer wrong"}, 401),
        ("GET", "/nothing", None, {}, 404),
        ("GET", "/execute", None, {}, 405),
        ("HEAD", "/health", None, {}, 200),
        ("HEAD", "/execute", None, {}, 405),
        ("POST", "/execute", b"", {"content-length": "2000000"}, 413),
        ("POST", "/execute", b"{}", {"content-type": "text/plain"}, 415),
    ],
)
async def test_it_comes_back_on_every_response(
    client: Connection, *, method: str, target: str, payload: object, headers: dict[str, str], status: int
) -> None:
    sent = {"authorization": "Bearer secret", "x-correlation-id": "Cid-1", **headers}
    reply = await client.call(method, target, payload, sent)

    assert (status, "Cid-1") == (reply.status, reply.header("x-correlation-id"))
    if status >= 400 and method != "HEAD":
        assert "Cid-1" == reply.error["correlation_id"]


@pytest.mark.req("NARR-2005")
@pytest.mark.parametrize(
    "value",
    [
        "",
        "x" * 65,
        "x" * 10_000,
        "a b",
        "a;b",
        "a,b",
        "a_b",
        "a.b",
        "\xe9",
        "a\tb",
        "<script>",
        "a\x7fb",
        "{}",
    ],
)
async def test_one_that_is_not_fit_to_echo_is_replaced(client: Connection, value: str) -> None:
    client.send(f"GET /health HTTP/1.1\r\nhost: w\r\nx-correlation-id: {value}\r\n\r\n".encode("latin-1"))
    reply = await client.reply()

    assert (reply.header("x-correlation-id") or "").startswith("new-")


@pytest.mark.parametrize("control", ["\0", "\x1b", "\x0b", "\r", "\n"])
async def test_control_characters_are_never_echoed(client: Connection, control: str) -> None:
    client.send(f"GET /health HTTP/1.1\r\nhost: w\r\nx-correlation-id: a{control}b\r\n\r\n".encode())
    reply = await client.reply()

    assert (reply.header("x-correlation-id") or "").startswith("new-")
    assert reply.status in (200, 400)


async def test_a_header_in_its_value_is_not_injected(client: Connection) -> None:
    client.send(b"GET /health HTTP/1.1\r\nhost: w\r\nx-correlation-id: a\r\nx-evil: 1\r\n\r\n")
    reply = await client.reply()

    assert ("a", None) == (reply.header("x-correlation-id"), reply.header("x-evil"))


async def test_of_two_neither_is_believed(client: Connection) -> None:
    client.send(b"GET /health HTTP/1.1\r\nhost: w\r\nx-correlation-id: a\r\nX-Correlation-ID: b\r\n\r\n")
    reply = await client.reply()

    assert (reply.header("x-correlation-id") or "").startswith("new-")


@pytest.mark.req("SYS-10.2.2", "NARR-2004")
async def test_it_is_in_the_started_event_and_in_the_narration() -> None:
    async with Service() as service, await service.connect() as client:
        await client.execute(max_tokens=1, headers={"x-correlation-id": "cid-7"})
        started, *_ = await client.all_events()
        await client.call("POST", "/cancel", {"job_id": "j"}, {"x-correlation-id": "cid-8"})
        cids = [event["correlation_id"] for event in service.narrator.events]

    assert "cid-7" == started.data["correlation_id"]
    assert ["cid-7", "cid-7", "cid-8"] == cids


@pytest.mark.req("NARR-2005")
async def test_requests_without_one_get_different_ones(client: Connection) -> None:
    replies = [await client.call("GET", "/health") for _ in range(3)]

    assert 3 == len({reply.header("x-correlation-id") for reply in replies})
