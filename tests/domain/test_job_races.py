"""Every interleaving that a seeded scheduler finds ends each job exactly once and loses nothing."""

import random
from collections.abc import Callable

import pytest

from domain.errors import DeviceError, DeviceLost, VramExhausted, WorkerError
from domain.job import Job
from ports.job_events import JobStarted, TerminalEvent
from tests.support.bench_worker import Bench
from tests.support.doubles import RecordingSink
from tests.support.scripted_model import ScriptedModel

NUM_SCHEDULES = 3000
MAX_ACTIONS = 40


class Schedule:
    """One seeded run: random actions of clients, clock, device and shutdown, then rest."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        num_slots = self._random.choice([1, 1, 2, 3])
        model = ScriptedModel(b"abc", before_step=self._before_step, max_open=self._random.choice([1, 2, 8]))
        self.bench = Bench(model, num_slots=num_slots, inference_timeout_s=5.0)
        self.jobs: list[Job] = []
        self.sinks: dict[int, RecordingSink] = {}
        self.unprepared: list[Job] = []
        self.unstarted: list[Job] = []
        self._fault_rate = self._random.choice([0.0, 0.0, 0.05, 0.3])

    def run(self) -> None:
        actions: list[Callable[[], None]] = [
            self._admit, self._admit, self._prepare, self._prepare, self._start, self._start,
            self._tick, self._tick, self._tick, self._cancel, self._leave, self._wait,
        ]  # fmt: skip
        if self._random.random() < 0.3:
            actions.append(self._drain)
        for _ in range(self._random.randrange(MAX_ACTIONS)):
            self._random.choice(actions)()
        for job in [*self.unprepared, *self.unstarted]:
            self.bench.worker.leave(job)
        self.bench.finish()

    def _before_step(self, _: int) -> None:
        if self._random.random() < self._fault_rate:
            raise self._random.choice(
                [
                    VramExhausted(required_bytes=1, available_bytes=0),
                    DeviceError("fault"),
                    DeviceLost("fault"),
                ]
            )

    def _admit(self) -> None:
        try:
            job = self.bench.admit(f"job-{self._random.randrange(4)}", max_tokens=self._random.randint(1, 6))
        except WorkerError:
            return
        self.jobs.append(job)
        self.unprepared.append(job)

    def _prepare(self) -> None:
        if self.unprepared:
            job = self.unprepared.pop()
            self.bench.worker.prepare(job)
            self.unstarted.append(job)

    def _start(self) -> None:
        if self.unstarted:
            job = self.unstarted.pop()
            self.sinks[id(job)] = RecordingSink()
            self.bench.worker.start(job, self.sinks[id(job)])

    def _tick(self) -> None:
        self.bench.engine.tick()

    def _cancel(self) -> None:
        self.bench.worker.cancel(f"job-{self._random.randrange(4)}", correlation_id="c")

    def _leave(self) -> None:
        if self.jobs:
            job = self._random.choice(self.jobs)
            self.bench.worker.leave(job)
            for waiting in (self.unprepared, self.unstarted):
                if job in waiting:
                    waiting.remove(job)

    def _wait(self) -> None:
        self.bench.clock.advance(self._random.choice([0.1, 6.0]))

    def _drain(self) -> None:
        self.bench.worker.drain()
        self.bench.worker.cancel_all()
        if self._random.random() < 0.5:
            self.bench.worker.abandon_all()


def check(schedule: Schedule) -> None:
    for sink in schedule.sinks.values():
        assert isinstance(sink.events[0], JobStarted)
        assert 1 == len(sink.terminals())
        assert isinstance(sink.events[-1], TerminalEvent)
    assert schedule.bench.worker.is_idle
    assert not schedule.bench.model.open
    assert len(schedule.sinks) == len(schedule.bench.narrator.named("execute_end"))


@pytest.mark.req("SYS-12.2.1", "M0-W-1330")
def test_under_every_race_each_started_job_ends_exactly_once_and_everything_is_given_back() -> None:
    for seed in range(NUM_SCHEDULES):
        schedule = Schedule(seed)
        try:
            schedule.run()
            check(schedule)
        except BaseException as error:
            error.add_note(f"replay with Schedule({seed})")
            raise
