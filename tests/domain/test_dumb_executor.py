"""What the worker leaves to its caller: it executes, reports and cleans up, and decides nothing."""

from collections.abc import Sequence

import pytest

from domain.errors import DeviceError, WorkerBusy
from ports.loaded_model import SequenceId
from ports.sampling import SamplingParams
from tests.support.bench_worker import Bench
from tests.support.job_events import ended, failure_code, text_of
from tests.support.scripted_model import ScriptedModel

pytestmark = pytest.mark.req("SYS-4.1.1", "SYS-4.2.1")


class WatchedModel(ScriptedModel):
    """Keeps the prompts that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.prompts: list[list[int]] = []

    def open_sequence(
        self, prompt_ids: Sequence[int], sampling: SamplingParams, *, max_tokens: int
    ) -> SequenceId:
        self.prompts.append(list(prompt_ids))
        return super().open_sequence(prompt_ids, sampling, max_tokens=max_tokens)


def test_a_prompt_is_used_as_it_is_given() -> None:
    model = WatchedModel()
    Bench(model).run(prompt="  user: hi\n")

    assert [list(b"  user: hi\n")] == model.prompts


def test_a_job_that_failed_is_reported_and_not_tried_again() -> None:
    def fail_first(step: int) -> None:
        if step == 0:
            raise DeviceError("launch failed")

    bench = Bench(ScriptedModel(before_step=fail_first))
    sink = bench.run("job")

    assert "CUDA_ERROR" == failure_code(sink)
    assert 1 == bench.model.num_steps
    assert "abca" == text_of(bench.run("job"))  # the caller did


def test_a_job_that_comes_too_early_is_refused_and_not_kept_for_later() -> None:
    bench = Bench()
    _, first = bench.start("first")
    with pytest.raises(WorkerBusy):
        bench.admit("second")
    bench.finish()
    num_steps = bench.model.num_steps
    bench.finish()

    assert 4 == ended(first).tokens_out == num_steps
    assert num_steps == bench.model.num_steps
    assert bench.worker.is_idle


def test_a_long_job_is_not_put_aside_for_another() -> None:
    bench = Bench()
    _, long = bench.start("long", max_tokens=40)
    for number in range(10):
        bench.engine.tick()
        with pytest.raises(WorkerBusy):
            bench.admit(f"short-{number}", max_tokens=1)
    bench.finish()

    assert 40 == ended(long).tokens_out
