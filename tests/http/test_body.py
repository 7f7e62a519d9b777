"""Bodies that are no JSON object, or more than one should read."""

import asyncio
import gzip
from collections.abc import AsyncIterator

import pytest

from adapters_inbound.http.json_body import MAX_BODY_BYTES
from tests.http.client import Connection
from tests.http.service import Service

VALID = b'{"job_id":"j","prompt":"hi","max_tokens":1}'


@pytest.fixture
async def client() -> AsyncIterator[Connection]:
    async with Service(options={"body_timeout_s": 0.1}) as service, await service.connect() as connection:
        yield connection


@pytest.mark.req("M0-W-1302")
@pytest.mark.parametrize("path", ["/execute", "/cancel"])
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="array"),
        pytest.param(b"null", id="null"),
        pytest.param(b'"text"', id="string"),
        pytest.param(b"nonsense", id="not-json"),
        pytest.param(VALID + b" x", id="trailing-junk"),
        pytest.param(VALID * 2, id="two-objects"),
        pytest.param(VALID[:-1], id="cut-off"),
        pytest.param(b"\xef\xbb\xbf" + VALID, id="bom"),
        pytest.param(VALID.decode().encode("utf-16"), id="utf-16"),
        pytest.param(b'{"job_id":"\xff\xfe","prompt":"x"}', id="not-utf-8"),
        pytest.param(b'{"job_id":"j","prompt":"\xed\xa0\x80"}', id="surrogate-bytes"),
        pytest.param(b'{"\xc0\xaf":1}', id="overlong-key"),
        pytest.param(b'{"job_id":"j","prompt":"x","temperature":NaN}', id="nan"),
        pytest.param(b'{"job_id":"j","prompt":"x","temperature":Infinity}', id="infinity"),
        pytest.param(b'{"job_id":"j","prompt":"x","seed":' + b"9" * 5000 + b"}", id="5000-digits"),
        pytest.param(b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", id="deep-array"),
        pytest.param(b'{"x":' * 100_000 + b"1" + b"}" * 100_000, id="deep-object"),
    ],
)
async def test_what_is_no_json_object_is_refused(client: Connection, path: str, body: bytes) -> None:
    reply = await client.call("POST", path, body)

    assert (400, "INVALID_REQUEST") == (reply.status, reply.error["code"])
    assert "application/json" == reply.header("content-type")
    assert 200 == (await client.call("GET", "/health")).status


async def test_a_hundred_thousand_keys_are_just_ignored(client: Connection) -> None:
    keys = b"".join(b'"%d":0,' % number for number in range(100_000))
    client.request("POST", "/execute", b"{" + keys + VALID[1:])

    assert 200 == (await client.head())[0]


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp",
     "application/json; charset=latin-1", "application/json, text/plain", "application/octet-stream"],
)  # fmt: skip
async def test_what_is_not_declared_as_json_is_refused(client: Connection, content_type: str) -> None:
    reply = await client.call("POST", "/execute", VALID, {"content-type": content_type})

    assert (415, "INVALID_REQUEST") == (reply.status, reply.error["code"])


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON", "application/json;charset=UTF-8",
     'application/json; charset="utf-8"', "application/json ;"],
)  # fmt: skip
async def test_json_may_be_declared_in_any_of_its_spellings(client: Connection, content_type: str) -> None:
    client.request("POST", "/execute", VALID, {"content-type": content_type})

    assert 200 == (await client.head())[0]


async def test_a_compressed_body_is_refused_and_the_reason_given(client: Connection) -> None:
    body = gzip.compress(VALID)
    for path in ("/execute", "/cancel", "/shutdown"):
        reply = await client.call("POST", path, body, {"content-encoding": "gzip"})

        assert (415, "INVALID_REQUEST") == (reply.status, reply.error["code"])
        assert "Content-Encoding" in reply.error["message"]
        assert "identity" == reply.header("accept-encoding")


async def test_a_body_may_be_said_to_be_as_it_is(client: Connection) -> None:
    assert 202 == (await client.call("POST", "/cancel", VALID, {"content-encoding": "identity"})).status


async def test_a_body_that_announces_too_much_is_refused_unread(client: Connection) -> None:
    client.request("POST", "/execute", b"", {"content-length": str(MAX_BODY_BYTES + 1)})
    reply = await client.reply()

    assert (413, "INVALID_REQUEST") == (reply.status, reply.error["code"])
    assert "close" == reply.header("connection")
    assert await client.closed()


async def test_a_body_that_grows_too_large_in_chunks_is_refused_without_its_rest(client: Connection) -> None:
    client.request(
        "POST", "/execute", None, {"content-type": "application/json", "transfer-encoding": "chunked"}
    )
    client.send(b"%x\r\n%b\r\n" % (MAX_BODY_BYTES + 1, b" " * (MAX_BODY_BYTES + 1)))
    reply = await client.reply()

    assert (413, "INVALID_REQUEST") == (reply.status, reply.error["code"])
    assert await client.closed()


async def test_a_body_of_exactly_the_limit_is_read(client: Connection) -> None:
    client.request("POST", "/execute", VALID.ljust(MAX_BODY_BYTES))

    assert 200 == (await client.head())[0]


async def test_a_body_in_chunks_of_one_byte_is_read(client: Connection) -> None:
    client.request(
        "POST", "/execute", None, {"content-type": "application/json", "transfer-encoding": "chunked"}
    )
    client.send(b"".join(b"1;ext=1\r\n%c\r\n" % byte for byte in VALID) + b"0\r\nx-trailer: 1\r\n\r\n")

    assert 200 == (await client.head())[0]


async def test_a_body_that_does_not_come_is_given_up(client: Connection) -> None:
    client.request("POST", "/execute", b"", {"content-length": "10"})
    reply = await client.reply()

    assert (408, "INVALID_REQUEST") == (reply.status, reply.error["code"])
    assert await client.closed()


async def test_a_body_that_drips_is_given_up(client: Connection) -> None:
    client.request("POST", "/execute", b"", {"content-length": "1000"})
    reply = asyncio.create_task(client.reply())
    while not reply.done():
        client.send(b" ")
        await asyncio.sleep(0.02)

    assert 408 == (await reply).status


async def test_a_client_that_expects_100_continue_gets_it(client: Connection) -> None:
    client.request("POST", "/execute", b"", {"content-length": str(len(VALID)), "expect": "100-continue"})
    assert (await client.head())[0] == 100
    client.send(VALID)

    assert 200 == (await client.head())[0]


async def test_nothing_that_clients_do_wrong_is_narrated_as_a_defect() -> None:
    async with Service(options={"body_timeout_s": 0.05}) as service, await service.connect() as client:
        await client.call("POST", "/execute", b"\xff")
        await client.call("POST", "/execute", b"[" * 100_000)
        client.request("POST", "/execute", b"", {"content-length": "10"})
        client.leave()
        await asyncio.sleep(0.05)

        assert [] == service.narrator.events
