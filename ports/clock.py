"""The port to time."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Time, so that a test can be its master. Any thread may ask."""

    def monotonic_s(self) -> float:
        """Seconds that never go back, from an arbitrary start."""
        ...

    def utc_now(self) -> datetime:
        """Wall-clock time, time zone UTC."""
        ...
