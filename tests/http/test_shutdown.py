"""POST /shutdown: from its answer on no job is taken; the one that runs is left to finish."""

from collections.abc import AsyncIterator

import pytest

from tests.http.client import Connection
from tests.http.service import Service, pace
from tests.support.scripted_model import ScriptedModel

TOKEN = "s3cret-t0ken"
JSON = {"content-type": "application/json"}


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with Service(ScriptedModel(before_step=pace(0.005)), options={"body_timeout_s": 0.1}) as running:
        yield running


@pytest.fixture
async def client(service: Service) -> AsyncIterator[Connection]:
    async with await service.connect() as connection:
        yield connection


@pytest.mark.req("M0-W-1340")
@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (None, {}),
        (b"", {"content-type": ""}),
        (b"", JSON),
        (b"{}", JSON),
        (b'{"reason": "tired", "nested": {"x": [1]}}', JSON),
    ],
    ids=["no body", "empty", "empty, declared", "empty object", "object"],
)
async def test_a_shutdown_is_accepted_and_asked_for_once_it_is_read(
    service: Service, client: Connection, body: bytes | None, headers: dict[str, str]
) -> None:
    reply = await client.call("POST", "/shutdown", body, {"x-correlation-id": "cid", **headers})

    assert (202, {"status": "accepted"}) == (reply.status, reply.json)
    assert ("application/json", "cid") == (reply.header("content-type"), reply.header("x-correlation-id"))
    assert ["cid"] == service.shutdown_requests


@pytest.mark.req("M0-W-1340", "SYS-6.3.5")
async def test_after_the_answer_new_jobs_are_refused_and_the_running_one_goes_on(
    service: Service, client: Connection
) -> None:
    async with await service.connect() as other:
        await client.execute("running", max_tokens=20)
        await other.call("POST", "/shutdown")
        refusal = await other.execute("new")
        health = await other.call("GET", "/health")
        *_, last = await client.all_events()

    assert (503, "SHUTTING_DOWN", True) == (refusal.status, refusal.error["code"], refusal.error["retriable"])
    assert (200, "draining") == (health.status, health.json["state"])
    assert ("end", 20) == (last.name, last.data["tokens_out"])


@pytest.mark.req("M0-W-1340")
async def test_repeats_are_answered_alike(service: Service, client: Connection) -> None:
    replies = [await client.call("POST", "/shutdown", {}) for _ in range(3)]

    assert [(202, {"status": "accepted"})] * 3 == [(reply.status, reply.json) for reply in replies]
    assert "draining" == service.worker.state


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"null", JSON, 400),
        (b"[]", JSON, 400),
        (b" ", JSON, 400),
        (b"{", JSON, 400),
        (b"\xff", JSON, 400),
        (b"{}", {"content-type": ""}, 415),
        (b"{}", {"content-type": "text/plain"}, 415),
        (b"", {"content-type": "text/plain"}, 415),
        (b"", {"content-type": "application/x-www-form-urlencoded"}, 415),
        (b"", {"content-length": "1048577"}, 413),
        (b"", {"content-length": "10"}, 408),
    ],
)
async def test_any_other_body_is_refused_and_the_worker_goes_on(
    service: Service, client: Connection, body: bytes, headers: dict[str, str], status: int
) -> None:
    reply = await client.call("POST", "/shutdown", body, headers)

    assert (status, "INVALID_REQUEST", False) == (
        reply.status,
        reply.error["code"],
        reply.error["retriable"],
    )
    assert ([], "ready") == (service.shutdown_requests, service.worker.state)


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [("GET", "/shutdown", 405), ("PUT", "/shutdown", 405), ("POST", "/shutdown/", 404)],
)
async def test_a_wrong_method_or_path_shuts_nothing_down(
    service: Service, client: Connection, method: str, target: str, status: int
) -> None:
    reply = await client.call(method, target)

    assert (status, "INVALID_REQUEST") == (reply.status, reply.error["code"])
    assert ([], "ready") == (service.shutdown_requests, service.worker.state)


@pytest.mark.req("SYS-9.1.1", "M0-W-1340")
async def test_a_configured_token_is_asked_for() -> None:
    async with Service(options={"bearer_token": TOKEN}) as service, await service.connect() as client:
        refused = await client.call("POST", "/shutdown")

        assert (401, [], "ready") == (refused.status, service.shutdown_requests, service.worker.state)

        accepted = await client.call("POST", "/shutdown", headers={"authorization": f"Bearer {TOKEN}"})

        assert (202, 1) == (accepted.status, len(service.shutdown_requests))
