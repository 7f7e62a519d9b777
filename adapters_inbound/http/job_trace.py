"""What a trace is told of a job: OpenTelemetry's conventions for generative AI, and never a text."""

from domain.job import Job
from domain.job_figures import outcome_of
from ports.job_events import JobEnded, JobEvent, JobFailed, JobStarted, StopReason, TokenText
from ports.metrics import Outcome
from ports.tracing import RequestTrace

_FINISH_REASONS = {StopReason.MAX_TOKENS: "length", StopReason.EOS: "stop", StopReason.STOP_SEQUENCE: "stop"}


class JobTrace:
    """Follows one prepared job by the events that are sent of it."""

    def __init__(self, trace: RequestTrace, job: Job) -> None:
        self._trace = trace
        self._tokens_out = 0
        self._outcome = Outcome.CANCELLED  # of a job whose client leaves before it ends
        request = job.request
        trace.note(
            {
                "gen_ai.operation.name": "text_completion",
                "gen_ai.request.max_tokens": request.max_tokens,
                "gen_ai.request.temperature": request.temperature,
                "gen_ai.request.top_p": request.top_p,
                "gen_ai.request.top_k": request.top_k,
                "gen_ai.usage.input_tokens": len(job.prompt_ids),
                "worker_orcd.job_id": job.job_id,
                "worker_orcd.seed": str(job.seed),  # 64 bits without a sign, which no integer of OTLP holds
            }
        )

    def observe(self, event: JobEvent) -> None:
        match event:
            case JobStarted():
                self._trace.note({"gen_ai.request.model": event.model})
            case TokenText():
                if self._tokens_out == 0:
                    self._trace.event("gen_ai.first_token")
                self._tokens_out += len(event.token_ids)
            case JobEnded():
                self._tokens_out = event.tokens_out
                self._outcome = outcome_of(event)
                reasons = [_FINISH_REASONS[event.stop_reason]]
                self._trace.note({"gen_ai.response.finish_reasons": reasons})
            case JobFailed():
                self._outcome = outcome_of(event)
                if self._outcome is not Outcome.CANCELLED:
                    self._trace.fail(event.code)

    def close(self) -> None:
        """The stream is over, however it ended."""
        self._trace.note(
            {"gen_ai.usage.output_tokens": self._tokens_out, "worker_orcd.outcome": self._outcome.value}
        )
