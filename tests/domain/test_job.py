"""A job, its table, and the worker's health, each by itself."""

from datetime import UTC, datetime

import pytest

from domain.errors import InferenceTimeout, JobCancelled
from domain.execute_request import validate_execute_request
from domain.health import Ailment, Health
from domain.job import Job, JobState
from domain.job_table import JobTable
from ports.job_events import JobFailed, JobStarted, TokenText
from tests.support.doubles import RecordingSink

CANCELLED = JobFailed("CANCELLED", "cancelled", False, "c")
TIMED_OUT = JobFailed("INFERENCE_TIMEOUT", "too long", True, "c")


def new_job(job_id: str = "j") -> Job:
    request = validate_execute_request({"job_id": job_id, "prompt": "p"}, max_tokens_out=8, vocab_size=9)
    return Job(request, seed=1, correlation_id="c", accepted_at_s=0.0, deadline_remaining_ms=None)


def streaming_job() -> tuple[Job, RecordingSink]:
    job, sink = new_job(), RecordingSink()
    job.prepare([1], max_tokens=1, stop_ids={})
    job.stream_to(sink)
    return job, sink


def test_a_job_moves_through_its_states_in_order() -> None:
    job = new_job()
    states = [job.state]
    job.prepare([1, 2], max_tokens=3, stop_ids={})
    states.append(job.state)
    job.stream_to(RecordingSink())
    states.append(job.state)
    job.decide(CANCELLED)
    states.append(job.state)

    assert [JobState.REGISTERED, JobState.PREPARED, JobState.STREAMING, JobState.ENDED] == states


@pytest.mark.req("M0-W-1330")
def test_the_first_decision_is_the_only_one() -> None:
    job, _ = streaming_job()

    assert [True, False] == [job.decide(CANCELLED), job.decide(TIMED_OUT)]


def test_the_first_reason_to_stop_stays() -> None:
    job = new_job()
    first = JobCancelled("asked")

    asked = [job.interrupt(first, now_s=1.0), job.interrupt(InferenceTimeout("too long"), now_s=2.0)]

    assert [True, False] == asked
    assert (first, 1.0) == (job.interruption, job.interrupted_at_s)


@pytest.mark.req("M0-W-1312")
def test_nothing_is_published_after_the_terminal_event_but_itself() -> None:
    job, sink = streaming_job()
    started = JobStarted("j", "m", datetime(2026, 1, 1, tzinfo=UTC), 1, "c")
    job.publish(started)
    job.decide(CANCELLED)
    job.publish(TokenText("late", (1,)))
    job.publish(TIMED_OUT)
    job.publish(CANCELLED)

    assert [started, CANCELLED] == sink.events


def test_a_job_that_has_left_cannot_free_the_slot_of_its_successor() -> None:
    table = JobTable(1)
    first, second = new_job("same"), new_job("same")
    table.register(first)
    table.release(first)
    table.register(second)
    table.release(first)

    assert [second] == table.active()


def test_out_of_memory_heals_and_nothing_graver_does() -> None:
    health = Health()
    for ailment, healed in [
        (Ailment.OUT_OF_MEMORY, True),
        (Ailment.RESIDENCY_LOST, False),
        (Ailment.DEVICE_LOST, False),
    ]:
        health.worsen(ailment)
        health.allocation_succeeded()

        assert healed == health.state.healthy


def test_an_ailment_is_news_once_and_never_replaces_a_graver_one() -> None:
    health = Health()
    news = [health.worsen(ailment) for ailment in (Ailment.RESIDENCY_LOST, Ailment.RESIDENCY_LOST)]
    news.append(health.worsen(Ailment.OUT_OF_MEMORY))

    assert [True, False, False] == news
    assert Ailment.RESIDENCY_LOST is health.state.ailment
