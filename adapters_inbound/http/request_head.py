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
    is_encoded = any(name == b"transfer-encoding" for name, _ in headers)
    if is_encoded and version == "1.0":
        return Refusal(400, "HTTP/1.0 knows no Transfer-Encoding")
    return None
