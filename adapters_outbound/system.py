"""Time, randomness and identifiers of the real machine."""

import secrets
import time
import uuid
from datetime import UTC, datetime


class SystemClock:
    """The machine's clocks."""

    def monotonic_s(self) -> float:
        return time.monotonic()

    def utc_now(self) -> datetime:
        return datetime.now(UTC)


class SystemEntropy:
    """The operating system's randomness."""

    def seed(self) -> int:
        return secrets.randbits(64)


class SystemIds:
    """Random identifiers."""

    def correlation_id(self) -> str:
        return str(uuid.uuid4())
