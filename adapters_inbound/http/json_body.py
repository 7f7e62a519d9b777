"""Read the JSON object that a request carries, and trust nothing about it."""

import asyncio

import msgspec
from litestar.exceptions import ClientException
from litestar.types import HTTPScope, Receive

from adapters_inbound.http.request_headers import declared_length, declares_media_type, is_encoded, is_json
from domain.errors import InvalidRequest

MAX_BODY_BYTES = 2**20
CLIENT_CLOSED_REQUEST = 499

# Strict, unlike the framework's own binding: "5" stays a string, 5.0 a float and true a boolean. The hook
# makes a number beyond all floats infinite, which its field refuses; without it the whole body were in error.
_DECODER = msgspec.json.Decoder(dict[str, object], strict=True, float_hook=float)
_CLOSE = {"connection": "close"}


async def read_json_object(scope: HTTPScope, receive: Receive, *, timeout_s: float) -> dict[str, object]:
    """Read and decode the body.

    Raises:
        ClientException: 415 not declared as plain JSON, 413 too large, 408 too slow, 499 the client left.
        InvalidRequest: it is not a JSON object.
    """
    _require_json(scope)
    return decode_object(await _read_in_time(scope, receive, timeout_s))


async def read_optional_json_object(
    scope: HTTPScope, receive: Receive, *, timeout_s: float
) -> dict[str, object]:
    """As `read_json_object`, but no body, declared as nothing or as JSON, is an empty object."""
    if declares_media_type(scope):
        _require_json(scope)
    body = await _read_in_time(scope, receive, timeout_s)
    if not body:
        return {}
    _require_json(scope)
    return decode_object(body)


def decode_object(body: bytes) -> dict[str, object]:
    """Decode a JSON object.

    Raises:
        InvalidRequest: the bytes are not UTF-8, not JSON, too deeply nested, or not an object.
    """
    try:
        return _DECODER.decode(body)
    except UnicodeDecodeError:
        raise InvalidRequest("the body is not UTF-8") from None
    except RecursionError:
        raise InvalidRequest("the body is nested too deeply") from None
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"the body is not a JSON object: {error}") from None


def _require_json(scope: HTTPScope) -> None:
    if not is_json(scope):
        raise ClientException("Content-Type must be application/json", status_code=415)
    if is_encoded(scope):
        raise ClientException(
            "Content-Encoding must be absent: bodies are taken as they are",
            status_code=415,
            headers={"accept-encoding": "identity"},
        )


async def _read_in_time(scope: HTTPScope, receive: Receive, timeout_s: float) -> bytes:
    if declared_length(scope) > MAX_BODY_BYTES:
        raise _too_large()
    try:
        async with asyncio.timeout(timeout_s):
            return await _read(receive)
    except TimeoutError:
        raise ClientException(
            f"the body did not arrive within {timeout_s:g} s", status_code=408, headers=_CLOSE
        ) from None


async def _read(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientException("the client closed the connection", status_code=CLIENT_CLOSED_REQUEST)
        body += message["body"]
        if len(body) > MAX_BODY_BYTES:
            raise _too_large()
        if not message["more_body"]:
            return bytes(body)


def _too_large() -> ClientException:
    # Closing is what leaves the rest unread; on an open connection it would be read only to be dropped.
    return ClientException(f"the body is larger than {MAX_BODY_BYTES} bytes", status_code=413, headers=_CLOSE)
