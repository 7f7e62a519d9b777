"""What a job tells its caller, and the port it tells it through."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class StopReason(StrEnum):
    """Why an answer ended."""

    MAX_TOKENS = "MAX_TOKENS"
    EOS = "EOS"
    STOP_SEQUENCE = "STOP_SEQUENCE"


@dataclass(frozen=True, slots=True)
class JobStarted:
    """Always the first event, also of a job that fails at once."""

    job_id: str
    model: str
    started_at: datetime  # UTC
    seed: int
    correlation_id: str


@dataclass(frozen=True, slots=True)
class TokenText:
    """A piece of the answer: never empty, whole characters only."""

    text: str
    token_ids: tuple[int, ...]  # the generated ids this piece covers


@dataclass(frozen=True, slots=True)
class JobEnded:
    """Terminal: the answer is complete."""

    tokens_in: int
    tokens_out: int  # generated tokens, EOS not counted
    decode_time_ms: int  # from `started` to the last token
    stop_reason: StopReason
    seed: int
    stop_sequence_matched: str | None = None
    token_ids: tuple[int, ...] = ()  # generated ids that no TokenText covers


@dataclass(frozen=True, slots=True)
class JobFailed:
    """Terminal: the job ended before its answer did."""

    code: str
    message: str
    retriable: bool
    correlation_id: str


TerminalEvent = JobEnded | JobFailed
JobEvent = JobStarted | TokenText | TerminalEvent


class EventSink(Protocol):
    """Takes one job's events, in order: `started` from who starts it, the rest from the inference thread."""

    def publish(self, event: JobEvent) -> None:
        """Hand over one event. Never blocks and never raises, however slow the reader or gone."""
        ...
