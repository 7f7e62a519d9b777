"""The port to metrics: figures about jobs, for dashboards."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Outcome(StrEnum):
    """How a job ended."""

    SUCCESS = "success"
    ERROR = "error"
    CANCELLED = "cancelled"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class JobFigures:
    """What one job cost. Counted once, at its terminal event."""

    outcome: Outcome
    tokens_in: int
    tokens_out: int
    duration_s: float  # from acceptance to the terminal event
    first_token_s: float | None = None  # from acceptance
    per_token_s: float | None = None  # mean gap between tokens; of two tokens at least
    cancellation_s: float | None = None  # from the wish to stop to the terminal event
    deadline_remaining_ms: int | None = None  # when it was accepted


@dataclass(frozen=True, slots=True)
class WorkerGauges:
    """What the worker is at the moment of asking."""

    vram_bytes: int
    uptime_s: float
    is_healthy: bool


class Metrics(Protocol):
    """Collects figures. Any thread may call; nothing here blocks or raises."""

    def job_ended(self, figures: JobFigures) -> None: ...

    def started(self, *, startup_s: float, model_load_s: float) -> None:
        """Note how long the start took, once the worker serves."""
        ...

    def watch(self, gauges: Callable[[], WorkerGauges]) -> None:
        """Ask `gauges` whenever the figures are rendered."""
        ...

    def render(self) -> tuple[bytes, str]:
        """All figures as text, and its content type."""
        ...
