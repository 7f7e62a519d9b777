"""What the head of a request must keep to before anything is made of it (RFC 9112)."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer to what never becomes a request."""

    status: int
    message: str


def head_refusal(version: str, headers: Sequence[tuple[bytes, bytes]]) -> Refusal | None:
    """Why a request cannot be taken; None where nothing is wrong with its head.

    Args:
        version: as "1.1".
        headers: names in lower case, and values.
    """
    if version not in ("1.0", "1.1"):
        return Refusal(400, "this is HTTP/1.1 and HTTP/1.0")
    num_hosts = sum(name == b"host" for name, _ in headers)
    if num_hosts > 1 or (num_hosts == 0 and version == "1.1"):
        return Refusal(400, f"a request has one Host header, not {num_hosts}")
    codings = [value.lower() for name, value in headers if name == b"transfer-encoding"]
    if codings and version == "1.0":
        return Refusal(400, "HTTP/1.0 knows no Transfer-Encoding")
    if codings and codings != [b"chunked"]:
        return Refusal(501, "Transfer-Encoding must be chunked")
    return None


def head_without_upgrade(
    method: bytes, target: bytes, version: str, headers: Sequence[tuple[bytes, bytes]]
) -> bytes:
    """The head as it would have been sent without an offer to go on in another protocol."""
    lines = [b"%b %b HTTP/%b" % (method, target, version.encode())]
    lines += [b"%b: %b" % header for header in headers if header[0] != b"upgrade"]
    return b"\r\n".join([*lines, b"", b""])
