"""The life of a job through worker and engine, driven tick by tick."""

import pytest

from domain.errors import DuplicateJob, InvalidRequest, WorkerBusy
from ports.job_events import JobEnded, JobStarted, StopReason, TokenText
from ports.memory import MemoryReport
from ports.metrics import JobFigures, Outcome
from tests.support.bench_worker import LIMITS, Bench
from tests.support.doubles import RecordingSink
from tests.support.job_events import ended, text_of
from tests.support.scripted_model import ScriptedModel

BOS, EOS = 256, 257
BASELINE = 1000  # bytes the scripted model holds with no sequence open


@pytest.mark.req("M0-W-1310", "M0-W-1312", "SYS-2.3.2")
def test_a_job_starts_answers_and_ends() -> None:
    sink = Bench().run(max_tokens=4, seed=7)

    kinds = [type(event) for event in sink.events]

    assert [JobStarted, TokenText, TokenText, TokenText, TokenText, JobEnded] == kinds
    assert "abca" == text_of(sink)
    assert (2, 4, StopReason.MAX_TOKENS, 7) == (
        ended(sink).tokens_in,
        ended(sink).tokens_out,
        ended(sink).stop_reason,
        ended(sink).seed,
    )


@pytest.mark.req("M0-W-1310")
def test_a_job_has_started_before_the_inference_thread_looks_at_it() -> None:
    _, sink = Bench().start()

    assert [JobStarted] == [type(event) for event in sink.events]


class CountingModel(ScriptedModel):
    """Notes how many steps it had made whenever it was asked for its memory."""

    def __init__(self) -> None:
        super().__init__()
        self.asked_after: list[int] = []

    def memory(self) -> MemoryReport:
        self.asked_after.append(self.num_steps)
        return super().memory()


def test_the_first_step_does_not_wait_for_an_account_of_the_memory() -> None:
    bench = Bench(model := CountingModel())
    model.asked_after.clear()
    bench.start()
    bench.engine.tick()

    assert [1] == model.asked_after
    assert BASELINE + 100 == bench.health.state.vram_bytes_used


@pytest.mark.req("M0-W-1422")
def test_every_end_of_generation_token_ends_the_answer_and_counts_for_nothing() -> None:
    for end_token in (EOS, 258):
        sink = Bench(ScriptedModel([97, 98, end_token, 99])).run(max_tokens=9)

        assert ("ab", 2, StopReason.EOS) == (text_of(sink), ended(sink).tokens_out, ended(sink).stop_reason)


@pytest.mark.req("M0-W-1422")
def test_a_stop_string_across_tokens_ends_the_answer_and_is_not_part_of_it() -> None:
    sink = Bench(ScriptedModel(b"one two three")).run(max_tokens=20, stop=["o th", "zzz"])

    assert ("one tw", StopReason.STOP_SEQUENCE, "o th") == (
        text_of(sink),
        ended(sink).stop_reason,
        ended(sink).stop_sequence_matched,
    )


@pytest.mark.req("M0-W-1422")
def test_a_stop_may_be_a_control_token_which_has_no_text() -> None:
    sink = Bench(ScriptedModel([*b"one", BOS, *b"two"])).run(max_tokens=20, stop=["tw", "<|bos|>"])

    assert ("one", StopReason.STOP_SEQUENCE, "<|bos|>", 4) == (
        text_of(sink),
        ended(sink).stop_reason,
        ended(sink).stop_sequence_matched,
        ended(sink).tokens_out,
    )


def test_a_stop_that_ends_generations_anyway_is_their_end() -> None:
    sink = Bench(ScriptedModel([*b"one", EOS])).run(max_tokens=20, stop=["<|eos|>"])

    assert (StopReason.EOS, None) == (ended(sink).stop_reason, ended(sink).stop_sequence_matched)


def test_held_back_text_is_flushed_when_the_limit_comes_first() -> None:
    sink = Bench(ScriptedModel(b"abcd")).run(max_tokens=3, stop=["bcx"])

    assert "abc" == text_of(sink)


@pytest.mark.req("M0-W-1826")
def test_every_generated_id_is_reported_once_and_in_order() -> None:
    sink = Bench(ScriptedModel([0xC3, 0xA9, 290, 97, 291, 0xE2])).run(max_tokens=6)

    fragments = [i for event in sink.events if isinstance(event, TokenText) for i in event.token_ids]

    assert [0xC3, 0xA9, 290, 97] == fragments
    assert (291, 0xE2) == ended(sink).token_ids
    assert "éa" == text_of(sink)


@pytest.mark.req("M0-W-1030")
def test_a_seed_that_is_left_out_is_drawn_and_reported() -> None:
    bench = Bench()

    assert [1, 2] == [ended(bench.run("a")).seed, ended(bench.run("b")).seed]


def test_the_answer_is_limited_by_the_room_the_prompt_leaves() -> None:
    sink = Bench().run(prompt="x" * 60, max_tokens=100)

    assert (4, StopReason.MAX_TOKENS) == (ended(sink).tokens_out, ended(sink).stop_reason)


@pytest.mark.req("M0-W-1302")
def test_a_prompt_without_room_for_one_token_is_refused_and_the_slot_given_back() -> None:
    bench = Bench()
    job = bench.admit(prompt="x" * 64)

    with pytest.raises(InvalidRequest) as raised:
        bench.worker.prepare(job)

    assert "max_tokens_in(63)" == raised.value.errors[0].constraint
    assert "abca" == text_of(bench.run())


@pytest.mark.req("M0-W-1302")
def test_a_stop_of_too_many_tokens_is_refused() -> None:
    bench = Bench()
    job = bench.admit(stop=["y" * 33])

    with pytest.raises(InvalidRequest) as raised:
        bench.worker.prepare(job)

    assert [("stop", "max_tokens(32)", None)] == [
        (error.field, error.constraint, error.value) for error in raised.value.errors
    ]


def test_a_stop_of_as_many_tokens_as_allowed_is_taken() -> None:
    assert StopReason.MAX_TOKENS == ended(Bench().run(stop=["y" * 32])).stop_reason


def test_special_markup_in_a_prompt_becomes_its_single_id() -> None:
    bench = Bench()
    job = bench.admit(prompt="<|eos|>")

    bench.worker.prepare(job)

    assert [EOS] == job.prompt_ids


@pytest.mark.req("M0-W-1301")
def test_a_second_job_is_refused_while_one_is_active() -> None:
    bench = Bench()
    bench.start("first")

    with pytest.raises(WorkerBusy):
        bench.admit("second")
    with pytest.raises(DuplicateJob):
        bench.admit("first")


@pytest.mark.req("M0-W-1301")
def test_an_invalid_request_is_told_so_even_while_the_worker_is_busy() -> None:
    bench = Bench()
    bench.start("first")

    with pytest.raises(InvalidRequest):
        bench.admit("second", temperature=9)


def test_a_finished_job_id_may_be_used_again() -> None:
    bench = Bench()

    assert text_of(bench.run("again")) == text_of(bench.run("again"))


@pytest.mark.req("M0-W-1301")
def test_the_slot_is_free_and_the_memory_back_when_the_terminal_event_is_published() -> None:
    bench = Bench()
    seen: list[tuple[str, int, int, str]] = []

    class Probe(RecordingSink):
        def publish(self, event: object) -> None:
            if isinstance(event, JobEnded):
                state = bench.worker.health
                told = bench.narrator.names()[-1]
                seen.append((bench.worker.state, state.vram_bytes_used, len(bench.model.open), told))

    job = bench.admit()
    bench.worker.prepare(job)
    bench.worker.start(job, Probe())
    bench.engine.tick()

    assert bench.worker.health.vram_bytes_used > BASELINE

    bench.finish()

    assert [("ready", BASELINE, 0, "execute_end")] == seen


@pytest.mark.req("M0-W-1900", "M0-W-1901", "M0-W-1902")
def test_the_narration_of_a_job_has_its_counts_and_never_its_text() -> None:
    bench = Bench(ScriptedModel(b"secret answer"))
    bench.run(prompt="my secret prompt", max_tokens=6)

    start, end = bench.narrator.events

    assert ("execute_start", "execute_end", "success") == (start["event"], end["event"], end["outcome"])
    assert (16, 6, "cid-job") == (end["tokens_in"], end["tokens_out"], end["correlation_id"])
    assert 64 == len(start["prompt_sha256"])
    assert "secret" not in repr(bench.narrator.events)


def test_the_engine_wakes_when_there_is_something_to_do() -> None:
    bench = Bench()
    bench.start()
    bench.worker.cancel("job", correlation_id="c")
    bench.worker.cancel("job", correlation_id="c")

    assert 2 == bench.num_wakes


def test_limits_leave_room_for_one_token() -> None:
    assert 63 == LIMITS.max_prompt_tokens


@pytest.mark.req("M0-W-1350")
def test_the_figures_of_a_job_are_those_of_its_life() -> None:
    bench = Bench(ScriptedModel(before_step=lambda _: bench.clock.advance(0.5)))
    bench.run(max_tokens=4)
    expected = JobFigures(
        Outcome.SUCCESS, tokens_in=2, tokens_out=4, duration_s=2.0, first_token_s=0.5, per_token_s=0.5
    )

    assert [expected] == bench.metrics.jobs


@pytest.mark.req("M0-W-1350")
def test_the_figures_of_a_cancelled_job_say_how_long_the_cancel_took() -> None:
    bench = Bench(ScriptedModel())
    bench.start(max_tokens=60)
    bench.engine.tick()
    bench.worker.cancel("job", correlation_id="c")
    bench.clock.advance(0.25)
    bench.finish()

    (figures,) = bench.metrics.jobs

    assert (Outcome.CANCELLED, 0.25) == (figures.outcome, figures.cancellation_s)
