"""A cancel and a hang-up stop the device within 100 ms, in the answer and in the midst of a long prompt."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace

import pytest

from app.client import WorkerClient
from app.launcher import WorkerProcessHandle
from backends.cuda.bindings import driver
from backends.cuda.errors import check
from ports.loaded_model import LoadedModel
from ports.sampling import GREEDY
from tests.gpu.port import ModelPath, opened
from tests.support.backends import BACKENDS
from tools.true_size.model_shape import QWEN_2_5_0_5B
from tools.true_size.writer import write_true_size

LIMIT_S = 0.1  # the requirement's own
LONG_PROMPT_TOKENS = 32_000
SMALL = replace(
    QWEN_2_5_0_5B, num_layers=1, hidden_size=128, intermediate_size=128, num_heads=2, vocab_size=2048
)
SMALL_PROMPT_TOKENS = 3000


@dataclass(frozen=True)
class Caller:
    """Someone with a long prompt, who knows how long it takes until its first token."""

    client: WorkerClient
    long_prompt: str
    prefill_s: float

    def cancel_in_prompt(self, share: float) -> float:
        """Seconds from the cancel to the end of the stream. `share` of the prompt is done when it comes."""
        with closing(self.client.execute(job(self.long_prompt))) as events:
            assert "started" == next(events).name
            time.sleep(share * self.prefill_s)
            asked_at_s = time.monotonic()
            self.client.cancel("job")
            (last,) = events
            elapsed_s = time.monotonic() - asked_at_s
        assert ("error", "CANCELLED") == (last.name, last.data["code"])
        return elapsed_s

    def cancel_in_answer(self) -> float:
        with closing(self.client.execute(job("7"))) as events:
            next(event for event in events if event.name == "token")
            asked_at_s = time.monotonic()
            self.client.cancel("job")
            *_, last = events
            elapsed_s = time.monotonic() - asked_at_s
        assert ("error", "CANCELLED") == (last.name, last.data["code"])
        return elapsed_s

    def leave_in_prompt(self, share: float) -> float:
        """Seconds from the hang-up until another job would be taken."""
        with closing(self.client.execute(job(self.long_prompt))) as events:
            assert "started" == next(events).name
            time.sleep(share * self.prefill_s)
            assert "busy" == self.client.health()["state"]
            left_at_s = time.monotonic()
        return self._ready_s(left_at_s)

    def leave_in_answer(self) -> float:
        with closing(self.client.execute(job("7"))) as events:
            next(event for event in events if event.name == "token")
            left_at_s = time.monotonic()
        return self._ready_s(left_at_s)

    def _ready_s(self, start_s: float) -> float:
        while self.client.health()["state"] != "ready":
            time.sleep(0.001)
        return time.monotonic() - start_s


def job(prompt: str, max_tokens: int = 700) -> dict[str, object]:
    return {"job_id": "job", "prompt": prompt, "max_tokens": max_tokens, "temperature": 0}


def best_of_three(measure: Callable[[], float]) -> float:
    """The machine that runs the tests may be busy with something else at any one moment.

    One that is below the limit is enough: no other could change the outcome.
    """
    best_s = math.inf
    for _ in range(3):
        best_s = min(best_s, measure())
        if best_s < LIMIT_S:
            break
    return best_s


@pytest.fixture(scope="module", params=BACKENDS)
def caller(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    if request.param == "cuda":
        true_size: ModelPath = request.getfixturevalue("true_size")
        path, num_tokens, extra = true_size(QWEN_2_5_0_5B.name), LONG_PROMPT_TOKENS, list[str]()
    else:
        path, num_tokens = tmp_path_factory.mktemp("model") / SMALL.file_name, SMALL_PROMPT_TOKENS
        write_true_size(path, SMALL)
        extra = ["--fake-fault", "slow-step@*:20"]
    with WorkerProcessHandle(["--model", str(path), "--backend", request.param, *extra]) as worker:
        prompt = "7" * num_tokens  # to this vocabulary a digit is a token
        prefill_s = min(seconds_to_first_token(worker.client, prompt) for _ in range(2))
        yield Caller(worker.client, prompt, prefill_s)


def seconds_to_first_token(client: WorkerClient, prompt: str) -> float:
    with closing(client.execute(job(prompt, max_tokens=1))) as events:
        assert "started" == next(events).name
        start_s = time.monotonic()
        first = next(events)
        elapsed_s = time.monotonic() - start_s
        *_, end = events
    assert "token" == first.name
    assert len(prompt) == end.data["tokens_in"]
    return elapsed_s


@pytest.mark.req("M0-W-1330", "M0-W-1610")
@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_a_cancel_ends_a_long_prompt_within_100_ms(caller: Caller, share: float) -> None:
    assert best_of_three(lambda: caller.cancel_in_prompt(share)) < LIMIT_S


@pytest.mark.req("M0-W-1330", "M0-W-1610")
def test_a_cancel_ends_an_answer_within_100_ms(caller: Caller) -> None:
    assert best_of_three(caller.cancel_in_answer) < LIMIT_S


@pytest.mark.req("M0-W-1611")
@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_a_hang_up_in_a_long_prompt_frees_the_slot_within_100_ms(caller: Caller, share: float) -> None:
    assert best_of_three(lambda: caller.leave_in_prompt(share)) < LIMIT_S


@pytest.mark.req("M0-W-1611")
def test_a_hang_up_in_an_answer_frees_the_slot_within_100_ms(caller: Caller) -> None:
    assert best_of_three(caller.leave_in_answer) < LIMIT_S


@pytest.mark.gpu
@pytest.mark.req("M0-W-1330", "M0-W-1610", "M0-W-1611")
@pytest.mark.parametrize("num_steps", [1, 30, 60])
def test_the_device_is_at_rest_within_100_ms_of_leaving_a_long_prompt(
    num_steps: int, true_size: ModelPath
) -> None:
    with opened("cuda", str(true_size(QWEN_2_5_0_5B.name))) as loaded:
        assert num_steps * loaded.plan.prefill_chunk_tokens < LONG_PROMPT_TOKENS
        assert best_of_three(lambda: rest_after(loaded.model, LONG_PROMPT_TOKENS, num_steps)) < LIMIT_S


@pytest.mark.gpu
@pytest.mark.req("M0-W-1330", "M0-W-1610", "M0-W-1611")
def test_the_device_is_at_rest_within_100_ms_of_leaving_an_answer(true_size: ModelPath) -> None:
    with opened("cuda", str(true_size(QWEN_2_5_0_5B.name))) as loaded:
        assert best_of_three(lambda: rest_after(loaded.model, 100, 3)) < LIMIT_S


def rest_after(model: LoadedModel, num_prompt_tokens: int, num_steps: int) -> float:
    """Seconds from the closing of a sequence after so many steps until nothing runs on the device."""
    sequence_id = model.open_sequence([7] * num_prompt_tokens, GREEDY, max_tokens=100)
    for _ in range(num_steps):
        model.step()
    start_s = time.monotonic()
    model.close_sequence(sequence_id)
    check(driver.cuCtxSynchronize(), "cuCtxSynchronize")
    return time.monotonic() - start_s
