"""One job's events as server-sent events (spec §14)."""

from datetime import datetime

import msgspec

from domain.redaction import redact
from ports.job_events import JobEnded, JobEvent, JobFailed, JobStarted, StopReason, TokenText

PING = b": ping\n\n"

# JSON escapes CR and LF by itself. These are no line ends in SSE either, but some clients (httpx among them)
# split lines at every Unicode line end.
_OTHER_LINE_ENDS = {
    "\u2028".encode(): rb"\u2028",
    "\u2029".encode(): rb"\u2029",
    "\u0085".encode(): rb"\u0085",
}


class Started(msgspec.Struct, frozen=True):
    """Payload of `started`."""

    job_id: str
    model: str
    started_at: datetime
    seed: int
    correlation_id: str


class Token(msgspec.Struct, frozen=True):
    """Payload of `token`."""

    t: str
    i: int
    ids: tuple[int, ...]


class End(msgspec.Struct, frozen=True, omit_defaults=True):
    """Payload of `end`."""

    tokens_out: int
    tokens_in: int
    decode_time_ms: int
    stop_reason: StopReason
    seed: int
    stop_sequence_matched: str | None = None
    ids: tuple[int, ...] = ()


class Error(msgspec.Struct, frozen=True):
    """Payload of `error`."""

    code: str
    message: str
    retriable: bool
    correlation_id: str


class EventEncoder:
    """Encodes the events of one job, and numbers its token events."""

    def __init__(self) -> None:
        self._num_tokens = 0

    def encode(self, event: JobEvent) -> bytes:
        """One event as one complete SSE message in UTF-8."""
        match event:
            case JobStarted():
                return _message(
                    b"started",
                    Started(event.job_id, event.model, event.started_at, event.seed, event.correlation_id),
                )
            case TokenText():
                token_id = self._num_tokens
                self._num_tokens += 1
                return _message(b"token", Token(event.text, token_id, event.token_ids))
            case JobEnded():
                return _message(b"end", _end(event))
            case JobFailed():
                message = redact(event.message)
                return _message(b"error", Error(event.code, message, event.retriable, event.correlation_id))


def _end(event: JobEnded) -> End:
    return End(
        tokens_out=event.tokens_out,
        tokens_in=event.tokens_in,
        decode_time_ms=event.decode_time_ms,
        stop_reason=event.stop_reason,
        seed=event.seed,
        stop_sequence_matched=event.stop_sequence_matched,
        ids=event.token_ids,
    )


def _message(name: bytes, payload: msgspec.Struct) -> bytes:
    data = msgspec.json.encode(payload)
    for line_end, escape in _OTHER_LINE_ENDS.items():
        if line_end in data:
            data = data.replace(line_end, escape)
    return b"event: %b\ndata: %b\n\n" % (name, data)
