"""One envelope for every error, and nothing of the inside in it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from adapters_inbound.http.error_reply import reply_to
from domain.errors import (
    CapacityError,
    DeviceError,
    DuplicateJob,
    InferenceTimeout,
    InvalidRequest,
    JobCancelled,
    ShuttingDown,
    VramExhausted,
    WorkerBusy,
    WorkerError,
    WorkerUnhealthy,
)
from ports.narrator import Level
from tests.http.client import Connection
from tests.http.service import Service
from tests.proof_bundle.records import ProofRecorder
from tests.support.doubles import ByteTokenizer

SECRET = "the prompt nobody may see"


class BrokenTokenizer(ByteTokenizer):
    """Fails, with the prompt in its message."""

    def encode(self, text: str, *, add_bos: bool, parse_special: bool) -> list[int]:  # noqa: ARG002 - broken
        raise RuntimeError(text)


@pytest.fixture
async def client() -> AsyncIterator[Connection]:
    async with Service() as service, await service.connect() as connection:
        yield connection


@pytest.mark.req("M0-W-1500", "M0-W-1510")
@pytest.mark.parametrize(
    ("error", "status", "code", "retriable"),
    [
        (InvalidRequest("no"), 400, "INVALID_REQUEST", False),
        (DuplicateJob("no"), 409, "INVALID_REQUEST", False),
        (WorkerBusy("no"), 503, "WORKER_BUSY", True),
        (ShuttingDown("no"), 503, "SHUTTING_DOWN", True),
        (WorkerUnhealthy("no"), 503, "WORKER_UNHEALTHY", False),
        (JobCancelled("no"), 499, "CANCELLED", False),
        (InferenceTimeout("no"), 504, "INFERENCE_TIMEOUT", True),
        (VramExhausted(required_bytes=2, available_bytes=1), 500, "VRAM_OOM", False),
        (DeviceError("no"), 500, "CUDA_ERROR", True),
        (WorkerError("no"), 500, "INTERNAL", True),
        (KeyError("no"), 500, "INTERNAL", True),
    ],
)
def test_every_error_has_its_status(
    error: Exception, status: int, code: str, retriable: bool, proof: ProofRecorder
) -> None:
    reply = reply_to(error, "cid")
    name, retry_after = type(error).__name__, reply.headers.get("retry-after", "")
    facts = {"status": reply.status, "code": reply.code, "retriable": reply.retriable}
    proof.add("error_mapping_table.md", error=name, **facts, retry_after_s=retry_after)

    assert (status, code, retriable) == (reply.status, reply.code, reply.retriable)
    assert isinstance(error, CapacityError) == ("retry-after" in reply.headers)


@pytest.mark.req("SYS-5.5.1")
@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/", 404),
        ("POST", "//execute", 404),
        ("POST", "/execute/", 404),
        ("POST", "/EXECUTE", 404),
        ("POST", "/%65xecute", 404),
        ("GET", "/health/", 404),
        ("GET", "/health/../health", 404),
        ("GET", "/v1/health", 404),
        ("GET", "/schema", 404),
        ("GET", "/execute", 405),
        ("POST", "/health", 405),
        ("DELETE", "/cancel", 405),
        ("PUT", "/execute", 405),
        ("PATCH", "/execute", 405),
        ("TRACE", "/health", 405),
        ("HEAD", "/execute", 405),
        ("PROPFIND", "/health", 405),
    ],
)
async def test_a_wrong_path_or_method_gets_the_envelope(
    client: Connection, method: str, target: str, status: int
) -> None:
    reply = await client.call(method, target)

    assert status == reply.status
    assert "application/json" == reply.header("content-type")
    assert (status == 405) == (reply.header("allow") is not None)
    if method != "HEAD":
        expected = {"code", "message", "retriable", "details", "correlation_id"}
        assert expected == set(reply.error)
        assert ("INVALID_REQUEST", False) == (reply.error["code"], reply.error["retriable"])
        assert {"errors": []} == reply.error["details"]


async def test_a_wrong_method_is_told_the_right_ones(client: Connection) -> None:
    reply = await client.call("GET", "/execute")

    assert {"POST", "OPTIONS"} == set((reply.header("allow") or "").split(", "))


async def test_options_are_answered_without_a_body(client: Connection) -> None:
    reply = await client.call("OPTIONS", "/execute")

    assert (204, b"") == (reply.status, reply.body)
    assert {"POST", "OPTIONS"} == set((reply.header("allow") or "").split(", "))


@pytest.mark.parametrize("target", ["/health?x=1", "http://worker/health"])
async def test_a_query_or_an_absolute_target_changes_nothing(client: Connection, target: str) -> None:
    assert 200 == (await client.call("GET", target)).status


async def test_a_defect_is_answered_with_nothing_of_it_and_narrated_once() -> None:
    async with Service(tokenizer=BrokenTokenizer()) as service, await service.connect() as client:
        reply = await client.execute(prompt=SECRET, headers={"x-correlation-id": "cid"})

        (event,) = service.narrator.events
        assert service.worker.is_idle
    assert (500, "INTERNAL", True) == (reply.status, reply.error["code"], reply.error["retriable"])
    assert ("cid", "internal error") == (reply.error["correlation_id"], reply.error["message"])
    assert ("error", Level.ERROR, "INTERNAL") == (event["event"], event["level"], event["error_kind"])
    assert ("cid", "RuntimeError") == (event["correlation_id"], event["exception"])
    assert SECRET not in str(event) + reply.body.decode()
    assert len(event["human"]) <= 100


async def test_a_defect_outside_of_litestar_gets_the_same_answer(
    client: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr("adapters_inbound.http.application.reply_to", broken)
    reply = await client.call("GET", "/execute", headers={"x-correlation-id": "cid"})

    assert (500, "INTERNAL", "cid") == (reply.status, reply.error["code"], reply.error["correlation_id"])


async def test_a_defect_in_mid_stream_ends_it_with_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> bytes:
        raise RuntimeError(SECRET)

    async with Service() as service, await service.connect() as client:
        monkeypatch.setattr("adapters_inbound.http.event_encoder._end", broken)
        await client.execute(max_tokens=1)
        last = (await client.all_events())[-1]
        await service.until_idle()
        await asyncio.sleep(0)

        assert ("error", "INTERNAL", True) == (last.name, last.data["code"], last.data["retriable"])
        assert 1 == len(service.narrator.named("error"))
        assert SECRET not in str(service.narrator.events)
