"""The worker's use cases: admit a job, start it, cancel it, report health, drain."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from domain.engine import Engine
from domain.errors import (
    FieldError,
    InvalidRequest,
    JobCancelled,
    ShuttingDown,
    WorkerUnhealthy,
)
from domain.execute_request import MAX_STOP_TOKENS, ExecuteRequest, validate_execute_request
from domain.health import Health, HealthState
from domain.job import Job, JobState
from domain.job_table import JobTable
from domain.storyteller import Storyteller
from domain.worker_info import WorkerInfo
from ports.clock import Clock
from ports.entropy import Entropy
from ports.job_events import EventSink, JobStarted
from ports.metrics import WorkerGauges
from ports.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Limits:
    """What one job may ask for."""

    max_model_len: int  # prompt and answer together, in tokens
    max_tokens_in: int
    max_tokens_out: int
    vocab_size: int

    @property
    def max_prompt_tokens(self) -> int:
        """The longest prompt that leaves room for one new token."""
        return min(self.max_tokens_in, self.max_model_len - 1)


class Worker:
    """The use cases. Called by the event loop; `prepare` alone may run in any thread.

    A job passes `admit`, `prepare`, `start`; `leave` ends it from wherever it stands.
    """

    def __init__(
        self,
        *,
        info: WorkerInfo,
        limits: Limits,
        tokenizer: Tokenizer,
        engine: Engine,
        wake_engine: Callable[[], None],
        jobs: JobTable,
        health: Health,
        clock: Clock,
        entropy: Entropy,
        storyteller: Storyteller,
    ) -> None:
        self.info = info
        self._limits = limits
        self._tokenizer = tokenizer
        self._engine = engine
        self._wake_engine = wake_engine
        self._jobs = jobs
        self._health = health
        self._clock = clock
        self._entropy = entropy
        self._story = storyteller
        self._draining = False
        self._abandoning = False
        self._ready_at_s = clock.monotonic_s()

    @property
    def state(self) -> str:
        """`ready`, `busy` or `draining`."""
        if self._draining:
            return "draining"
        return "busy" if self._jobs.active() else "ready"

    @property
    def health(self) -> HealthState:
        return self._health.state

    @property
    def uptime_s(self) -> float:
        """Seconds since the worker became able to serve."""
        return self._clock.monotonic_s() - self._ready_at_s

    def gauges(self) -> WorkerGauges:
        """What `/metrics` shows of this moment; any thread, cached state only."""
        health = self._health.state
        return WorkerGauges(health.vram_bytes_used, self.uptime_s, health.healthy)

    @property
    def is_idle(self) -> bool:
        return not self._jobs.active()

    def check_accepting(self) -> None:
        """Refuse any job, whatever it says, while none can be taken.

        Raises:
            ShuttingDown: the worker is draining.
            WorkerUnhealthy: the device cannot be trusted any more.
        """
        if self._draining:
            raise ShuttingDown("the worker is shutting down; send the job to another")
        ailment = self._health.state.ailment
        if ailment is not None and not self._health.state.usable:
            raise WorkerUnhealthy(f"the worker takes no jobs: {ailment.value}")

    def admit(
        self,
        body: Mapping[str, object],
        *,
        correlation_id: str,
        deadline_remaining_ms: int | None = None,
        trace_id: str | None = None,
    ) -> Job:
        """Validate the fields of a request and take a slot for it.

        Raises:
            ShuttingDown, WorkerUnhealthy: as `check_accepting`.
            InvalidRequest: with every field that does not hold.
            DuplicateJob: a job of that id is running.
            WorkerBusy: every slot is taken.
        """
        self.check_accepting()
        limits = self._limits
        request = validate_execute_request(
            body, max_tokens_out=limits.max_tokens_out, vocab_size=limits.vocab_size
        )
        job = Job(
            request,
            seed=self._entropy.seed() if request.seed is None else request.seed,
            correlation_id=correlation_id,
            accepted_at_s=self._clock.monotonic_s(),
            deadline_remaining_ms=deadline_remaining_ms,
            trace_id=trace_id,
        )
        self._jobs.register(job)
        return job

    def prepare(self, job: Job) -> None:
        """Tokenize the job's text and check the limits that count tokens. Takes milliseconds; any thread.

        Raises:
            InvalidRequest: too many tokens. The slot is given back.
        """
        request = job.request
        try:
            prompt_ids = self._tokenizer.encode(
                request.prompt, add_bos=self._tokenizer.adds_bos, parse_special=True
            )
            self._check_token_limits(request, num_prompt_tokens=len(prompt_ids))
        except BaseException:
            self._jobs.release(job)
            raise
        room = self._limits.max_model_len - len(prompt_ids)
        job.prepare(
            prompt_ids, max_tokens=min(request.max_tokens, room), stop_ids=self._control_stops(request)
        )

    def start(self, job: Job, sink: EventSink) -> None:
        """Publish `started` to `sink` and hand a prepared job to the inference thread for what follows."""
        job.stream_to(sink)
        job.publish(
            JobStarted(job.job_id, self.info.model, self._clock.utc_now(), job.seed, job.correlation_id)
        )
        self._story.job_accepted(job)
        self._engine.submit(job)
        self._wake_engine()
        if self._abandoning:  # it was tokenized meanwhile
            self._abandon(job)

    def cancel(self, job_id: str, *, correlation_id: str, trace_id: str | None = None) -> None:
        """Stop the job of that id, if it is active. Idempotent."""
        job = self._jobs.find(job_id)
        self._story.cancel_requested(job_id, correlation_id, found=job is not None, trace_id=trace_id)
        if job is not None:
            self._interrupt(job, "the job was cancelled")

    def leave(self, job: Job) -> None:
        """The client is gone: stop the job and free its slot, wherever it stands. Idempotent."""
        if self._jobs.find(job.job_id) is not job or job.state is JobState.ENDED:
            return
        if job.state is not JobState.STREAMING:
            self._jobs.release(job)
        elif not self._interrupt(job, "the client went away"):
            return  # it is stopping already
        self._story.client_gone(job)

    def drain(self) -> None:
        """Refuse new jobs from now on. Idempotent."""
        self._draining = True

    def cancel_all(self) -> None:
        """Stop every active job because the worker is leaving."""
        for job in self._jobs.active():
            self._interrupt(job, "the worker is shutting down")

    def abandon_all(self) -> None:
        """End every stream, also one that is yet to start, for a device that does not come back to do it."""
        self._abandoning = True
        for job in self._jobs.active():
            if job.state is JobState.STREAMING:
                self._abandon(job)

    def _abandon(self, job: Job) -> None:
        self._interrupt(job, "the worker is shutting down")
        self._engine.abandon(job)

    def _interrupt(self, job: Job, message: str) -> bool:
        """Ask `job` to stop; true for the first to ask."""
        is_first = job.interrupt(JobCancelled(message), now_s=self._clock.monotonic_s())
        if is_first:
            self._wake_engine()
        return is_first

    def _control_stops(self, request: ExecuteRequest) -> Mapping[int, str]:
        """The stops that name a control token, by its id: it has no text in which they could be found."""
        encoded = {
            stop: self._tokenizer.encode(stop, add_bos=False, parse_special=True) for stop in request.stop
        }
        return {
            ids[0]: stop
            for stop, ids in encoded.items()
            if len(ids) == 1 and not self._tokenizer.decode_bytes(ids[0])
        }

    def _check_token_limits(self, request: ExecuteRequest, *, num_prompt_tokens: int) -> None:
        errors = []
        limit = self._limits.max_prompt_tokens
        if not 1 <= num_prompt_tokens <= limit:
            message = f"prompt has {num_prompt_tokens} tokens; the worker takes 1 to {limit}"
            errors.append(FieldError("prompt", f"max_tokens_in({limit})", message))
        for stop in request.stop:
            num_tokens = len(self._tokenizer.encode(stop, add_bos=False, parse_special=False))
            if num_tokens > MAX_STOP_TOKENS:
                message = f"a stop entry has {num_tokens} tokens; the worker takes {MAX_STOP_TOKENS}"
                errors.append(FieldError("stop", f"max_tokens({MAX_STOP_TOKENS})", message))
                break
        if errors:
            raise InvalidRequest.of(errors)
