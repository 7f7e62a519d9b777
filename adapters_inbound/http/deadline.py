"""The X-Deadline header: read and reported, not enforced (spec §12, §15)."""

import re
from datetime import datetime

from litestar.types import HTTPScope

from adapters_inbound.http.request_headers import single_header
from ports.clock import Clock
from ports.narrator import Level, Narrator

_INTEGER = re.compile(r"-?[0-9]{1,15}")
_FIRST_EPOCH_MS = 10**11  # smaller integers are remaining milliseconds, larger ones a moment after 1973-03


def deadline_remaining_ms(
    scope: HTTPScope, *, clock: Clock, narrator: Narrator, correlation_id: str, trace_id: str | None
) -> int | None:
    """Milliseconds until the caller's deadline, negative once it has passed; None without one."""
    if not any(name == b"x-deadline" for name, _ in scope["headers"]):
        return None
    try:
        value = single_header(scope, b"x-deadline") or b""
        return remaining_ms(value.decode("ascii"), now=clock.utc_now())
    except (ValueError, OverflowError):
        narrator.narrate(
            "deadline_ignored",
            "ignoring a deadline that is no time",
            level=Level.WARN,
            correlation_id=correlation_id,
            trace_id=trace_id,
        )
        return None


def remaining_ms(value: str, *, now: datetime) -> int:
    """Milliseconds from `now` to the moment that `value` names.

    Args:
        value: RFC 3339, epoch milliseconds, or (an integer below 10^11) remaining milliseconds.
        now: the present, time zone UTC.

    Raises:
        ValueError: `value` is none of these.
    """
    if _INTEGER.fullmatch(value):
        number = int(value)
        return number if number < _FIRST_EPOCH_MS else number - round(now.timestamp() * 1000)
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("a deadline needs a time zone")
    return round((moment - now).total_seconds() * 1000)
