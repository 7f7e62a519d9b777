"""One job from its registration to its one terminal event."""

from collections.abc import Mapping
from enum import Enum

from domain.errors import JobError
from domain.execute_request import ExecuteRequest
from ports.job_events import EventSink, JobEvent, TerminalEvent
from ports.sampling import SamplingParams


class JobState(Enum):
    """Where a job stands. It only moves downwards; any state may go to ENDED at once."""

    REGISTERED = 1  # has the slot; its text is being tokenized
    PREPARED = 2  # its token limits hold
    STREAMING = 3  # belongs to the inference thread
    ENDED = 4  # its terminal event is decided


class Job:
    """One job. The event loop moves it up to STREAMING, the inference thread from there.

    Other threads only ask it to stop, by `interrupt`. Whoever decides the terminal event first wins; the
    decision is one atomic dictionary operation.
    """

    def __init__(
        self,
        request: ExecuteRequest,
        *,
        seed: int,
        correlation_id: str,
        accepted_at_s: float,
        deadline_remaining_ms: int | None,
        trace_id: str | None = None,
    ) -> None:
        self.request = request
        self.seed = seed
        self.correlation_id = correlation_id
        self.accepted_at_s = accepted_at_s
        self.deadline_remaining_ms = deadline_remaining_ms
        self.trace_id = trace_id
        self.prompt_ids: list[int] = []
        self.max_tokens = 0
        self.stop_ids: Mapping[int, str] = {}
        self._state = JobState.REGISTERED
        self._sink: EventSink | None = None
        self._interrupt: dict[str, tuple[JobError, float]] = {}
        self._terminal: dict[str, TerminalEvent] = {}

    @property
    def job_id(self) -> str:
        return self.request.job_id

    @property
    def state(self) -> JobState:
        return JobState.ENDED if self._terminal else self._state

    @property
    def interruption(self) -> JobError | None:
        """Why the job should stop, once someone has asked for it. The first reason stays."""
        return self._interrupt["first"][0] if self._interrupt else None

    @property
    def interrupted_at_s(self) -> float | None:
        """When that was, on the monotonic clock."""
        return self._interrupt["first"][1] if self._interrupt else None

    @property
    def sampling(self) -> SamplingParams:
        request = self.request
        return SamplingParams(
            seed=self.seed,
            temperature=request.temperature,
            top_p=request.top_p,
            top_k=request.top_k,
            min_p=request.min_p,
            repetition_penalty=request.repetition_penalty,
        )

    def interrupt(self, error: JobError, *, now_s: float) -> bool:
        """Ask the job to stop with `error`. Any thread; true for the first to ask."""
        note = (error, now_s)
        return self._interrupt.setdefault("first", note) is note

    def prepare(self, prompt_ids: list[int], *, max_tokens: int, stop_ids: Mapping[int, str]) -> None:
        """REGISTERED → PREPARED: note the prompt's ids, how many tokens may follow, and which are stops."""
        self._advance(JobState.REGISTERED, JobState.PREPARED)
        self.prompt_ids = prompt_ids
        self.max_tokens = max_tokens
        self.stop_ids = stop_ids

    def stream_to(self, sink: EventSink) -> None:
        """PREPARED → STREAMING: from now on the inference thread publishes to `sink`."""
        self._advance(JobState.PREPARED, JobState.STREAMING)
        self._sink = sink

    def decide(self, terminal: TerminalEvent) -> bool:
        """Settle how the job ends; true for the first decision, the only one that counts."""
        return self._terminal.setdefault("event", terminal) is terminal

    def publish(self, event: JobEvent) -> None:
        """Pass one event on; nothing after the terminal one."""
        if self._sink is None:
            return
        terminal = self._terminal.get("event")
        if terminal is None or event is terminal:
            self._sink.publish(event)

    def _advance(self, source: JobState, target: JobState) -> None:
        assert self._state is source, f"job is {self._state.name}, not {source.name}"
        self._state = target
