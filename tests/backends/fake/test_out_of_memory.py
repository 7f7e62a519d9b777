"""Memory that runs out, at every allocation and at every step of a job in turn."""

from collections.abc import Iterator
from typing import cast

import pytest

from backends.fake.backend import FakeBackend
from backends.fake.faults import parse_fault
from domain.health import Ailment
from domain.worker import Limits
from ports.job_events import JobEvent, JobFailed, JobStarted, StopReason, TokenText
from ports.loaded_model import LoadedModel
from tests.contracts.backend_support import load
from tests.models.tiny import TinyShape, tiny_model
from tests.support.bench_worker import Bench
from tests.support.doubles import RecordingSink
from tests.support.job_events import ended, failure_code, text_of
from tests.support.scripted_model import ScriptedModel

LIMITS = Limits(max_model_len=128, max_tokens_in=128, max_tokens_out=128, vocab_size=96)
CHUNK_TOKENS = 16
MAX_TOKENS = 20
PROMPTS = [pytest.param("A", id="short"), pytest.param("HELLO 42" * 6, id="over several pages")]
SHAPES = [
    pytest.param(TinyShape("llama"), id="llama"),
    pytest.param(TinyShape("gpt-oss"), id="gpt-oss"),
    pytest.param(TinyShape("gpt2", num_kv_heads=4, is_tied=True), id="gpt2"),
]


@pytest.mark.req("M0-W-1021", "M0-W-1825")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("prompt", PROMPTS)
def test_out_of_memory_at_any_allocation_costs_one_job_and_not_a_byte(shape: TinyShape, prompt: str) -> None:
    failed = list(failed_jobs("allocation-failure", shape, prompt))

    assert [[JobStarted, JobFailed]] * num_pages(prompt) == [[type(each) for each in job] for job in failed]


@pytest.mark.req("M0-W-1021", "M0-W-1825")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("prompt", PROMPTS)
def test_out_of_memory_in_any_step_costs_one_job_and_not_a_byte(shape: TinyShape, prompt: str) -> None:
    failed = list(failed_jobs("out-of-memory", shape, prompt))

    assert num_steps(prompt) == len(failed)
    for job in failed:
        assert [JobStarted, JobFailed] == [type(each) for each in job if not isinstance(each, TokenText)]


def failed_jobs(fault: str, shape: TinyShape, prompt: str) -> Iterator[list[JobEvent]]:
    """Let the fault strike ever later until a job passes without; the events of each job that it ended.

    After each of them the memory is as it was, and the next job gets what the job without a fault got.
    """
    recovered: list[str] = []
    for number in range(100):
        model = load(
            FakeBackend(faults=[parse_fault(f"{fault}@{number}")]).open_device(0),
            tiny_model(shape),
            chunk_tokens=CHUNK_TOKENS,
        )
        before, bench = model.memory(), bench_on(model)
        sink = run(bench, prompt)
        if bench.health.state.ailment is None:
            assert [text_of(sink)] * number == recovered
            assert ended(sink).stop_reason is StopReason.MAX_TOKENS
            return
        assert "VRAM_OOM" == failure_code(sink)
        assert bench.health.state.ailment is Ailment.OUT_OF_MEMORY
        assert before == model.memory()
        yield sink.events
        recovered.append(text_of(run(bench, prompt)))
        assert bench.health.state.healthy
        assert before == model.memory()
    raise AssertionError("it always strikes")


def bench_on(model: LoadedModel) -> Bench:
    return Bench(cast("ScriptedModel", model), limits=LIMITS)  # which any model may stand in for here


def run(bench: Bench, prompt: str) -> RecordingSink:
    return bench.run(prompt=prompt, max_tokens=MAX_TOKENS, temperature=0)


def num_pages(prompt: str) -> int:
    return -(-(len(prompt) + MAX_TOKENS) // 16)


def num_steps(prompt: str) -> int:
    return -(-len(prompt) // CHUNK_TOKENS) + MAX_TOKENS - 1
