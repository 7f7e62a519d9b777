"""What a job cost, put together at its end."""

from domain.generation import Generation
from domain.job import Job
from ports.job_events import JobEnded, TerminalEvent
from ports.metrics import JobFigures, Outcome

_OUTCOMES = {"CANCELLED": Outcome.CANCELLED, "INFERENCE_TIMEOUT": Outcome.TIMEOUT}


def outcome_of(terminal: TerminalEvent) -> Outcome:
    """The outcome that a terminal event stands for."""
    if isinstance(terminal, JobEnded):
        return Outcome.SUCCESS
    return _OUTCOMES.get(terminal.code, Outcome.ERROR)


def job_figures(
    job: Job, terminal: TerminalEvent, generation: Generation | None, *, now_s: float
) -> JobFigures:
    """The figures of a job that ends at `now_s`; without a generation it never reached the device."""
    return JobFigures(
        outcome=outcome_of(terminal),
        tokens_in=len(job.prompt_ids),
        tokens_out=generation.tokens_out if generation else 0,
        duration_s=now_s - job.accepted_at_s,
        first_token_s=generation.first_token_s() if generation else None,
        per_token_s=generation.mean_gap_s() if generation else None,
        cancellation_s=None if job.interrupted_at_s is None else now_s - job.interrupted_at_s,
        deadline_remaining_ms=job.deadline_remaining_ms,
    )
