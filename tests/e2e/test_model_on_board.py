"""The model on board, through a real worker: sensible text, or a numerical mistake shows."""

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

import app.models
from adapters_outbound.gguf.opener import GgufModelFileOpener
from app.client import Answer, WorkerRefused
from app.demo import MODEL_ON_BOARD
from app.launcher import WorkerProcessHandle
from tests.proof_bundle.recorded_worker import recorded_worker
from tests.proof_bundle.records import ProofRecorder
from tests.support.backends import BACKENDS
from tests.support.minute import minute_in_words
from tools.haiku.lexicon import is_haiku

MODEL = Path(app.models.__file__).parent / MODEL_ON_BOARD
TOPICS = (
    "rain",
    "GPU computing",
    "the sea",
    "autumn",
    "snow",
    "a river",
    "the moon",
    "tea",
    "winter",
    "a garden",
)


@pytest.fixture(scope="module", params=BACKENDS)
def worker(request: pytest.FixtureRequest, proof: ProofRecorder) -> Iterator[WorkerProcessHandle]:
    with recorded_worker(proof, ["--model", str(MODEL), "--backend", request.param]) as handle:
        yield handle


def ask(worker: WorkerProcessHandle, prompt: str, **fields: object) -> Answer:
    return worker.client.complete({"job_id": "haiku", "prompt": prompt, "max_tokens": 64, **fields})


@pytest.mark.req("M0-W-1800")
def test_it_writes_a_haiku_that_holds_the_minute_and_a_nonce_made_up_now(worker: WorkerProcessHandle) -> None:
    kept = 0
    for _ in range(10):
        minute, nonce = minute_in_words(datetime.now(UTC)), secrets.token_hex(4)
        prompt = f"Write a haiku about GPU computing that contains the word {minute} and the code {nonce}."
        answer = ask(worker, prompt, temperature=0.7, seed=42)
        kept += minute in answer.text and nonce in answer.text and answer.end["stop_reason"] == "EOS"

    assert kept >= 8, "the model keeps 98 of 100 words and 90 of 100 nonces"


@pytest.mark.req("M0-W-1800", "M0-W-1826")
def test_the_same_request_gives_the_same_tokens(worker: WorkerProcessHandle) -> None:
    prompt = "Write a haiku about GPU computing."

    for sampling in ({"temperature": 0.7, "seed": 42}, {"temperature": 0}):
        first, second = ask(worker, prompt, **sampling), ask(worker, prompt, **sampling)

        assert first.token_ids == second.token_ids


def test_nearly_every_answer_is_five_seven_five(worker: WorkerProcessHandle) -> None:
    answers = [ask(worker, f"Write a haiku about {topic}.", temperature=0).text for topic in TOPICS]

    assert sum(is_haiku(answer) for answer in answers) >= 9, answers


@pytest.mark.req("M0-W-1101")
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_job_gets_what_a_cache_smaller_than_the_context_holds(backend: str) -> None:
    arguments = ["--model", str(MODEL), "--backend", backend, "--kv-cache-size-mb", "1"]
    with WorkerProcessHandle(arguments) as small:
        limit = small.client.health()["effective_context_length"]
        request = {"job_id": "job", "prompt": "<|bos|>" * (limit - 5), "temperature": 0}
        answer = small.client.complete(request)  # BOS comes first: four tokens are left

        assert (limit - 4, "MAX_TOKENS", 4) == tuple(
            answer.end[field] for field in ("tokens_in", "stop_reason", "tokens_out")
        )
        with pytest.raises(WorkerRefused, match=f"the worker takes 1 to {limit - 1}"):
            small.client.complete({**request, "prompt": "<|bos|>" * limit})
        assert "healthy" == small.client.health()["status"]


def test_a_prompt_of_nothing_but_special_tokens_is_a_prompt(worker: WorkerProcessHandle) -> None:
    answer = ask(worker, "<|eos|><|bos|>", max_tokens=4)

    assert 3 == answer.end["tokens_in"], "BOS, EOS, BOS"


def test_its_chat_template_renders_a_user_turn_to_the_bare_prompt() -> None:
    file = GgufModelFileOpener().open(str(MODEL))
    source = file.metadata["tokenizer.chat_template"]
    file.close()
    assert isinstance(source, str)
    template = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(source)
    prompt = "Write a haiku about rain & <wind>.\n"

    rendered = template.render(messages=[{"role": "user", "content": prompt}], add_generation_prompt=True)

    assert prompt == rendered


def test_it_is_small_enough_to_ship() -> None:
    assert MODEL.stat().st_size <= 8 * 2**20
