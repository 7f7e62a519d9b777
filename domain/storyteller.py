"""The sentences of the narration: which event, which facts, which words."""

import hashlib
from typing import Any

from domain.errors import WorkerError
from domain.generation import Generation
from domain.health import Ailment
from domain.job import Job
from domain.job_figures import outcome_of
from ports.job_events import JobEnded, TerminalEvent
from ports.metrics import Outcome
from ports.narrator import Level, Narrator


class Storyteller:
    """Narrates the life of jobs. Prompts and answers appear as hash and counts only (M0-W-1902)."""

    def __init__(self, narrator: Narrator) -> None:
        self._narrator = narrator

    def job_accepted(self, job: Job) -> None:
        prompt = job.request.prompt
        self._narrator.narrate(
            "execute_start",
            f"starting a job with {len(job.prompt_ids)} prompt tokens, at most {job.max_tokens} to come",
            **_names(job),
            tokens_in=len(job.prompt_ids),
            max_tokens=job.max_tokens,
            prompt_chars=len(prompt),
            prompt_sha256=hashlib.sha256(prompt.encode()).hexdigest(),
            deadline_remaining_ms=job.deadline_remaining_ms,
        )

    def job_ended(self, job: Job, terminal: TerminalEvent, generation: Generation | None) -> None:
        tokens_out = generation.tokens_out if generation else 0
        facts: dict[str, Any] = {
            **_names(job),
            "tokens_in": len(job.prompt_ids),
            "tokens_out": tokens_out,
            "decode_time_ms": generation.decode_time_ms() if generation else 0,
            "first_token_ms": _milliseconds(generation.first_token_s() if generation else None),
        }
        if isinstance(terminal, JobEnded):
            self._narrator.narrate(
                "execute_end",
                f"finished a job: {tokens_out} tokens, {terminal.decode_time_ms} ms, {terminal.stop_reason}",
                outcome="success",
                stop_reason=terminal.stop_reason.value,
                **facts,
            )
            return
        outcome = outcome_of(terminal)
        if outcome is Outcome.ERROR:
            self.failure(terminal.code, terminal.message, **_names(job))
        self._narrator.narrate(
            "execute_end",
            f"ended a job early after {tokens_out} tokens: {terminal.code}",
            outcome=outcome.value,
            error_kind=terminal.code,
            **facts,
        )

    def cancel_requested(
        self, job_id: str, correlation_id: str, *, found: bool, trace_id: str | None = None
    ) -> None:
        state = "running" if found else "not running"
        self._narrator.narrate(
            "cancel",
            f"asked to cancel a job that is {state}",
            job_id=job_id,
            correlation_id=correlation_id,
            trace_id=trace_id,
            found=found,
        )

    def client_gone(self, job: Job) -> None:
        self._narrator.narrate(
            "client_disconnect",
            "stopping a job whose client went away",
            **_names(job),
        )

    def ailment(self, ailment: Ailment, error: WorkerError) -> None:
        """The worker has become unhealthy."""
        residency = ailment is Ailment.RESIDENCY_LOST
        self._narrator.narrate(
            "residency_check_failed" if residency else "error",
            f"unhealthy: {ailment.value}",
            level=Level.ERROR if ailment is Ailment.OUT_OF_MEMORY else Level.FATAL,
            error_kind=error.code,
            error_message=error.message,
        )

    def failure(self, code: str, message: str, **facts: object) -> None:
        """Any failure, with its public code."""
        self._narrator.narrate(
            "error", f"failed: {code}", level=Level.ERROR, error_kind=code, error_message=message, **facts
        )


def _names(job: Job) -> dict[str, Any]:
    """What finds all lines of a job."""
    return {"job_id": job.job_id, "correlation_id": job.correlation_id, "trace_id": job.trace_id}


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(1000 * seconds)
