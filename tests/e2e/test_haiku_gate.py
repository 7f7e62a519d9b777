"""The haiku gate in its anti-cheat form: an answer that could not have been prepared, from a real worker.

The prompt asks for the minute that it is now and for a nonce made up now; the worker's own counter must rise
by the tokens that came; the memory that holds the model is on the device before and after. The one way to
pass is to compute. The stand-in runs the real model as well as a GPU does, and neither keeps an answer.
"""

import secrets
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

import app.models
from app.client import Answer, WorkerClient
from app.demo import MODEL_ON_BOARD
from app.launcher import WorkerProcessHandle
from tests.proof_bundle.recorded_worker import recorded_worker
from tests.proof_bundle.records import ProofRecorder
from tests.support.backends import BACKENDS
from tests.support.minute import minute_in_words

MODEL = Path(app.models.__file__).parent / MODEL_ON_BOARD
LIMIT_S = 30.0  # the requirement's own


@dataclass(frozen=True)
class Haiku:
    """One answer, and what it was asked with."""

    minute_word: str
    nonce: str
    seconds: float
    minute_flipped: bool
    answer: Answer


@pytest.fixture(params=BACKENDS)
def worker(request: pytest.FixtureRequest, proof: ProofRecorder) -> Iterator[WorkerProcessHandle]:
    with recorded_worker(proof, ["--model", str(MODEL), "--backend", request.param]) as handle:
        yield handle


@pytest.mark.req("M0-W-1800", "M0-W-1840")
def test_a_haiku_holds_the_minute_and_the_nonce_and_the_token_counter_rises_by_its_tokens(
    worker: WorkerProcessHandle, proof: ProofRecorder
) -> None:
    health_before, before = worker.client.health(), counters(worker.client)

    haiku = ask(worker.client)
    if haiku.minute_flipped:
        before = counters(worker.client)
        haiku = ask(worker.client)

    after, health_after = counters(worker.client), worker.client.health()
    num_tokens = haiku.answer.end["tokens_out"]
    checks = {
        "the minute is in the answer": haiku.minute_word in haiku.answer.text,
        "the nonce is in the answer": haiku.nonce in haiku.answer.text,
        "tokens came": num_tokens > 0,
        "the counter rose by them": after["worker_tokens_generated_total"]
        == before["worker_tokens_generated_total"] + num_tokens,
        "the answer was counted once": after["worker_requests_total"] == before["worker_requests_total"] + 1,
        "within the time limit": haiku.seconds <= LIMIT_S,
        "in device memory, before and after": health_before["resident"] and health_after["resident"],
        "as much of it after as before": health_before["vram_bytes_used"] == health_after["vram_bytes_used"],
    }
    proof.add("metrics_snapshot.json", before=before, after=after)
    proof.add("verification.json", **asdict(haiku), checks=checks)

    assert [] == [check for check, holds in checks.items() if not holds], haiku


def ask(client: WorkerClient) -> Haiku:
    """Ask for a haiku with the minute that it is now, and a nonce that nobody knew a moment ago."""
    asked_at, nonce = datetime.now(UTC), secrets.token_hex(4)
    minute_word = minute_in_words(asked_at)
    prompt = f"Write a haiku about GPU computing that contains the word {minute_word} and the code {nonce}."
    request = {"job_id": f"haiku-{nonce}", "prompt": prompt, "max_tokens": 50, "temperature": 0.7, "seed": 42}
    answer = client.complete(request)
    answered_at = datetime.now(UTC)
    return Haiku(
        minute_word=minute_word,
        nonce=nonce,
        seconds=(answered_at - asked_at).total_seconds(),
        minute_flipped=answered_at.minute != asked_at.minute,
        answer=answer,
    )


def counters(client: WorkerClient) -> Counter[str]:
    """The sum of every counter, by its name; 0 for one that has counted nothing yet."""
    families = text_string_to_metric_families(client.metrics())
    sums: Counter[str] = Counter()
    for sample in (sample for family in families if family.type == "counter" for sample in family.samples):
        if sample.name.endswith("_total"):
            sums[sample.name] += int(sample.value)
    return sums
