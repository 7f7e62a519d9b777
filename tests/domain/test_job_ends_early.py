"""A job that does not get to its own end: cancelled, left by its client, or cut short by the worker's."""

from collections.abc import Callable

import pytest

from domain.errors import ShuttingDown
from domain.job import Job, JobState
from ports.job_events import JobEnded, JobFailed, JobStarted, StopReason
from ports.memory import MemoryReport
from ports.metrics import Outcome
from tests.support.bench_worker import Bench
from tests.support.doubles import RecordingSink
from tests.support.job_events import ended, failure_code
from tests.support.scripted_model import ScriptedModel


@pytest.mark.req("M0-W-1330")
def test_a_cancel_ends_the_job_once_however_often_it_is_asked() -> None:
    bench = Bench()
    _, sink = bench.start(max_tokens=60)
    bench.engine.tick()
    for _ in range(3):
        bench.worker.cancel("job", correlation_id="c")
    steps_before = bench.model.num_steps
    bench.finish()
    bench.worker.cancel("job", correlation_id="c")
    bench.finish()

    assert "CANCELLED" == failure_code(sink)
    assert steps_before == bench.model.num_steps
    assert not bench.model.open


@pytest.mark.req("M0-W-1330")
@pytest.mark.parametrize("moment", ["registered", "prepared", "submitted"])
def test_a_cancel_before_the_first_step_still_gives_started_then_cancelled(moment: str) -> None:
    bench = Bench()
    sink = RecordingSink()
    job = bench.admit()
    steps: dict[str, Callable[[], None]] = {
        "registered": lambda: bench.worker.prepare(job),
        "prepared": lambda: bench.worker.start(job, sink),
        "submitted": lambda: None,
    }
    for name, step in steps.items():
        if name == moment:
            bench.worker.cancel("job", correlation_id="c")
        step()
    bench.finish()

    assert [JobStarted, JobFailed] == [type(event) for event in sink.events]
    assert "CANCELLED" == failure_code(sink)
    assert 0 == bench.model.num_steps


def test_a_job_cancelled_before_it_is_opened_takes_no_memory() -> None:
    bench = Bench(ScriptedModel(max_open=0))
    _, sink = bench.start()
    bench.worker.cancel("job", correlation_id="c")
    bench.finish()

    assert "CANCELLED" == failure_code(sink)
    assert bench.worker.health.healthy


def test_a_cancel_of_an_unknown_job_does_nothing() -> None:
    bench = Bench()
    _, sink = bench.start("known")
    bench.worker.cancel("unknown", correlation_id="c")
    bench.finish()

    assert StopReason.MAX_TOKENS == ended(sink).stop_reason


@pytest.mark.req("M0-W-1611")
@pytest.mark.parametrize("moment", ["registered", "prepared", "streaming", "running", "ended"])
def test_a_client_that_leaves_frees_the_slot_wherever_the_job_stands(moment: str) -> None:
    bench = Bench()
    sink = RecordingSink()
    job = bench.admit()
    if moment != "registered":
        bench.worker.prepare(job)
    if moment in ("streaming", "running", "ended"):
        bench.worker.start(job, sink)
    if moment == "running":
        bench.engine.tick()
    if moment == "ended":
        bench.finish()
    bench.worker.leave(job)
    bench.worker.leave(job)
    bench.finish()

    assert bench.worker.is_idle
    assert not bench.model.open
    assert (1 if moment == "ended" else 0) == sum(isinstance(event, JobEnded) for event in sink.events)
    assert (0 if moment == "ended" else 1) == len(bench.narrator.named("client_disconnect"))


@pytest.mark.req("M0-W-1611")
def test_a_client_that_leaves_while_the_end_is_settled_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    release, ended_early = bench.jobs.release, []

    def leave_and_release(job: Job) -> None:
        if job.state is JobState.ENDED:  # and its slot not free yet
            bench.worker.leave(job)
            ended_early.append(job)
        release(job)

    monkeypatch.setattr(bench.jobs, "release", leave_and_release)
    sink = bench.run("job")

    assert ended_early
    assert StopReason.MAX_TOKENS == ended(sink).stop_reason
    assert not bench.narrator.named("client_disconnect")
    assert bench.worker.is_idle


@pytest.mark.req("M0-W-1340")
def test_a_draining_worker_refuses_new_jobs_and_finishes_the_active_one() -> None:
    bench = Bench()
    _, sink = bench.start()
    bench.worker.drain()

    with pytest.raises(ShuttingDown):
        bench.admit("other", temperature="not even valid")

    bench.finish()

    assert "draining" == bench.worker.state
    assert StopReason.MAX_TOKENS == ended(sink).stop_reason


@pytest.mark.req("M0-W-1340")
def test_what_is_still_running_at_the_end_is_cancelled() -> None:
    bench = Bench()
    _, sink = bench.start(max_tokens=60)
    bench.engine.tick()
    bench.worker.drain()
    bench.worker.cancel_all()
    bench.finish()

    assert "CANCELLED" == failure_code(sink)


@pytest.mark.req("M0-W-1340", "M0-W-1312")
@pytest.mark.parametrize("moment", ["submitted", "running"])
def test_what_the_device_does_not_give_back_is_ended_without_it_and_only_once(moment: str) -> None:
    bench = Bench()
    _, sink = bench.start(max_tokens=60)
    if moment == "running":
        bench.engine.tick()
    bench.worker.abandon_all()
    bench.worker.abandon_all()
    at_once = list(sink.events)
    (end,) = bench.narrator.named("execute_end")
    bench.finish()

    assert "CANCELLED" == failure_code(sink)
    assert at_once == sink.events
    assert ("cancelled", 1 if moment == "running" else 0) == (end["outcome"], end["tokens_out"])
    assert [Outcome.CANCELLED] == [figures.outcome for figures in bench.metrics.jobs]
    assert bench.worker.is_idle
    assert not bench.model.open


@pytest.mark.req("M0-W-1340", "M0-W-1312")
def test_a_job_that_starts_after_the_device_was_given_up_ends_as_well() -> None:
    bench = Bench()
    job = bench.admit()
    bench.worker.abandon_all()
    bench.worker.prepare(job)
    bench.worker.start(job, sink := RecordingSink())

    assert [JobStarted, JobFailed] == [type(event) for event in sink.events]
    assert "CANCELLED" == failure_code(sink)


def test_a_device_that_hangs_when_asked_for_its_memory_keeps_no_decision_to_itself() -> None:
    class Hanging(ScriptedModel):
        """Calls `meanwhile` where it would hang."""

        meanwhile: Callable[[], None] = staticmethod(lambda: None)

        def memory(self) -> MemoryReport:
            self.meanwhile()
            return super().memory()

    bench = Bench(model := Hanging())
    _, sink = bench.start(max_tokens=1)
    seen: list[str] = []

    def abandon() -> None:
        bench.worker.abandon_all()
        seen.append(failure_code(sink))

    model.meanwhile = abandon
    bench.finish()

    assert "CANCELLED" == seen[0]
    assert 1 == len(sink.terminals())
