"""Clients of HTTP/1.0: the connection ends the answer, and nothing is in chunks."""

import asyncio
import json

import pytest

from tests.http.client import Connection, parse_event
from tests.http.service import Service

JOB = json.dumps({"job_id": "j", "prompt": "hi", "max_tokens": 3}).encode()


async def answer_to(client: Connection, request_line: str, *headers: str, body: bytes = b"") -> bytes:
    """Everything that comes until the server closes the connection."""
    lines = [f"{request_line} HTTP/1.0", f"content-length: {len(body)}", *headers, "", ""]
    client.send("\r\n".join(lines).encode() + body)
    async with asyncio.timeout(5):
        return await client.reader.read()


async def test_a_stream_ends_with_the_connection() -> None:
    async with Service() as service, await service.connect() as client:
        answer = await answer_to(client, "POST /execute", "content-type: application/json", body=JOB)
        await service.until_idle()
    head, _, body = answer.partition(b"\r\n\r\n")
    events = [parse_event(each + b"\n\n") for each in body.split(b"\n\n")[:-1]]

    assert b" 200 " in head
    assert b"transfer-encoding" not in head
    assert ["started", "token", "token", "token", "end"] == [event.name for event in events]


@pytest.mark.parametrize(("request_line", "status"), [("GET /health", 200), ("GET /nothing", 404)])
async def test_an_answer_of_known_length_has_it(request_line: str, status: int) -> None:
    async with Service() as service, await service.connect() as client:
        answer = await answer_to(client, request_line)
    head, _, body = answer.partition(b"\r\n\r\n")

    assert f" {status} ".encode() in head
    assert b"content-length: %d\r\n" % len(body) in head + b"\r\n"
    assert json.loads(body)


async def test_it_is_sent_no_interim_answer() -> None:
    headers = ["content-type: application/json", "expect: 100-continue"]
    async with Service() as service, await service.connect() as client:
        answer = await answer_to(client, "POST /cancel", *headers, body=b'{"job_id":"j"}')

    assert answer.startswith(b"HTTP/1.1 202 ")


async def test_a_body_in_chunks_is_refused() -> None:
    async with Service() as service, await service.connect() as client:
        client.send(b"POST /cancel HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")
        reply = await client.reply()

    assert (400, "INVALID_REQUEST") == (reply.status, reply.error["code"])
    assert "HTTP/1.0" in reply.error["message"]
