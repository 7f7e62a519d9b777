"""The engine: advances every running job on the one loaded model, one step at a time."""

from collections import deque

from domain.errors import (
    DeviceLost,
    InferenceTimeout,
    ResidencyLost,
    VramExhausted,
    WorkerError,
)
from domain.generation import Generation
from domain.health import Ailment, Health
from domain.job import Job
from domain.job_figures import job_figures
from domain.job_table import JobTable
from domain.storyteller import Storyteller
from ports.clock import Clock
from ports.job_events import JobFailed, TerminalEvent
from ports.loaded_model import LoadedModel, SequenceId
from ports.metrics import Metrics
from ports.tokenizer import Tokenizer


class Engine:
    """Runs jobs. `submit` and `abandon` are for any thread, all else belongs to the inference thread.

    A job leaves in a fixed order: its sequence is closed, its slot released, its end narrated, and only then
    its terminal event published; so a caller that has read the event finds the slot free.
    """

    def __init__(
        self,
        *,
        model: LoadedModel,
        tokenizer: Tokenizer,
        jobs: JobTable,
        health: Health,
        clock: Clock,
        storyteller: Storyteller,
        metrics: Metrics,
        inference_timeout_s: float,
        residency_check_s: float,
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._jobs = jobs
        self._health = health
        self._clock = clock
        self._story = storyteller
        self._metrics = metrics
        self._inference_timeout_s = inference_timeout_s
        self._residency_check_s = residency_check_s
        self._next_residency_check_s = clock.monotonic_s() + residency_check_s
        self._inbox: deque[Job] = deque()
        self._running: dict[SequenceId, Generation] = {}
        health.note_memory(model.memory().used_bytes)

    def submit(self, job: Job) -> None:
        """Queue a streaming job for the inference thread. Any thread."""
        self._inbox.append(job)

    def abandon(self, job: Job) -> None:
        """End an interrupted job while the device holds the inference thread. Any thread.

        Its sequence stays open; should that thread come back, it closes it and publishes nothing more.
        """
        assert job.interruption is not None
        generation = next((each for each in list(self._running.values()) if each.job is job), None)
        self._conclude(job, _failure(job, job.interruption), generation)

    def tick(self) -> bool:
        """Open what was submitted, end what must stop, advance the rest by one step.

        Returns:
            Whether there is more to do at once.
        """
        has_opened = bool(self._inbox)
        while self._inbox:
            self._open(self._inbox[0])  # it stays within reach of `fail_all` until it runs
            self._inbox.popleft()
        self._stop_interrupted()
        self._check_residency_when_due()
        if self._running:
            self._step()
        if has_opened:  # after the step: the first token need not wait until the driver has counted
            self._health.note_memory(self._model.memory().used_bytes)
        return bool(self._running or self._inbox)

    def fail_all(self, error: WorkerError) -> None:
        """End every job with `error`."""
        while self._inbox:
            self._finish_unopened(self._inbox.popleft(), error)
        for generation in list(self._running.values()):
            self._fail(generation, error)

    def seconds_to_next_check(self) -> float:
        """How long an idle engine may sleep."""
        return max(0.0, self._next_residency_check_s - self._clock.monotonic_s())

    def _open(self, job: Job) -> None:
        started_at_s = self._clock.monotonic_s()
        if job.interruption is not None:
            self._finish_unopened(job, job.interruption)
            return
        try:
            sequence_id = self._model.open_sequence(job.prompt_ids, job.sampling, max_tokens=job.max_tokens)
        except WorkerError as error:
            self._note(error)
            self._finish_unopened(job, error)
            return
        self._health.allocation_succeeded()
        self._running[sequence_id] = Generation(job, sequence_id, self._tokenizer, started_at_s=started_at_s)

    def _stop_interrupted(self) -> None:
        now_s = self._clock.monotonic_s()
        for generation in list(self._running.values()):
            job = generation.job
            if now_s - job.accepted_at_s > self._inference_timeout_s:
                too_long = InferenceTimeout(f"the job ran longer than {self._inference_timeout_s:g} s")
                job.interrupt(too_long, now_s=now_s)
            if job.interruption is not None:
                self._fail(generation, job.interruption)

    def _step(self) -> None:
        try:
            outputs = self._model.step()
        except VramExhausted as error:
            # No sequence moved: the youngest gives way, the others go on.
            self._note(error)
            self._fail(next(reversed(self._running.values())), error)
            return
        except WorkerError as error:
            self._note(error)
            self.fail_all(error)
            return
        now_s = self._clock.monotonic_s()
        for output in outputs:
            generation = self._running.get(output.sequence_id)
            terminal = generation.accept(output.token_id, now_s) if generation else None
            if generation is not None and terminal is not None:
                self._close(generation, terminal)

    def _check_residency_when_due(self) -> None:
        """Between steps, so that it never races an allocation."""
        now_s = self._clock.monotonic_s()
        if now_s < self._next_residency_check_s:
            return
        self._next_residency_check_s = now_s + self._residency_check_s
        try:
            if not self._model.check_residency():
                self._note(ResidencyLost("memory that must be on the device is not"))
        except DeviceLost as error:
            self._note(error)
        except WorkerError as error:  # what cannot be shown to be there counts as gone
            self._note(ResidencyLost(f"where the model's memory is could not be asked: {error.message}"))

    def _note(self, error: WorkerError) -> None:
        ailments: dict[type[WorkerError], Ailment] = {
            VramExhausted: Ailment.OUT_OF_MEMORY,
            ResidencyLost: Ailment.RESIDENCY_LOST,
            DeviceLost: Ailment.DEVICE_LOST,
        }
        ailment = ailments.get(type(error))
        if ailment is not None and self._health.worsen(ailment):
            self._story.ailment(ailment, error)

    def _fail(self, generation: Generation, error: WorkerError) -> None:
        self._close(generation, _failure(generation.job, error))

    def _close(self, generation: Generation, terminal: TerminalEvent) -> None:
        del self._running[generation.sequence_id]
        try:
            self._model.close_sequence(generation.sequence_id)
        finally:  # a backend that fails here must not keep the job: nobody else would end it
            self._leave(generation.job, terminal, generation)

    def _finish_unopened(self, job: Job, error: WorkerError) -> None:
        self._leave(job, _failure(job, error), None)

    def _leave(self, job: Job, terminal: TerminalEvent, generation: Generation | None) -> None:
        # Before the decision: a device that hangs here must not keep one that is never published.
        self._health.note_memory(self._model.memory().used_bytes)
        self._conclude(job, terminal, generation)

    def _conclude(self, job: Job, terminal: TerminalEvent, generation: Generation | None) -> None:
        """Unless it has been done. Any thread."""
        if not job.decide(terminal):
            return
        self._jobs.release(job)
        self._story.job_ended(job, terminal, generation)
        now_s = self._clock.monotonic_s()
        self._metrics.job_ended(job_figures(job, terminal, generation, now_s=now_s))
        job.publish(terminal)


def _failure(job: Job, error: WorkerError) -> JobFailed:
    return JobFailed(error.code, error.message, error.retriable, job.correlation_id)
