"""Headers of a request that mean something here."""

import re

from litestar.types import HTTPScope

_CORRELATION_ID = re.compile(rb"[A-Za-z0-9-]{1,64}")


def single_header(scope: HTTPScope, name: bytes) -> bytes | None:
    """The value of a header that may be sent once; None where it is missing or sent more often.

    Of two values nobody can say which one another party on the way has believed.
    """
    values = [value for header, value in scope["headers"] if header == name]
    return values[0] if len(values) == 1 else None


def combined_header(scope: HTTPScope, name: bytes) -> bytes | None:
    """The values of a header that is a list, in order, joined as RFC 9110 §5.3 has it; None without one."""
    return b",".join(value for header, value in scope["headers"] if header == name) or None


def offered_correlation_id(scope: HTTPScope) -> str | None:
    """The caller's correlation id where it is fit to be echoed and logged (spec §12)."""
    value = single_header(scope, b"x-correlation-id")
    return value.decode("ascii") if value is not None and _CORRELATION_ID.fullmatch(value) else None


def declares_media_type(scope: HTTPScope) -> bool:
    return any(header == b"content-type" for header, _ in scope["headers"])


def is_json(scope: HTTPScope) -> bool:
    """Whether the body is declared as JSON in UTF-8."""
    media_type, *parameters = (single_header(scope, b"content-type") or b"").lower().split(b";")
    charsets = (b"charset=utf-8", b'charset="utf-8"', b"")
    return media_type.strip() == b"application/json" and all(each.strip() in charsets for each in parameters)


def is_encoded(scope: HTTPScope) -> bool:
    """Whether the body is declared as compressed, or encoded in another way."""
    return (combined_header(scope, b"content-encoding") or b"identity").strip().lower() != b"identity"


def declared_length(scope: HTTPScope) -> int:
    """Content-Length in bytes; 0 for a body sent in chunks. The server has checked that it is a number."""
    return int(single_header(scope, b"content-length") or 0)
