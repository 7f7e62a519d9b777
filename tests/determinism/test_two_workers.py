"""64 seeds, cold and warm: two worker processes give the same bytes, one after the other and side by side."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

import app.models
from app.client import WorkerClient, WorkerRefused
from app.demo import MODEL_ON_BOARD
from app.launcher import WorkerProcessHandle
from tests.determinism.pairs import Outcome, Request, record_pair, run
from tests.proof_bundle.recorded_worker import recorded_worker
from tests.proof_bundle.records import ProofRecorder
from tests.support.backends import BACKENDS
from tests.support.cancelled_job import cancel_one

MODEL = Path(app.models.__file__).parent / MODEL_ON_BOARD
SEEDS = (*range(63), 2**64 - 1)
TEMPERATURES = (0.0, 0.9)
MAX_TOKENS = 16
TOPICS = ("rain", "GPU computing", "the sea", "autumn", "a river", "snow", "the moon", "a garden")

REQUESTS: Sequence[Request] = [
    {
        "prompt": f"Write a haiku about {TOPICS[number % len(TOPICS)]}.",
        "seed": seed,
        "temperature": temperature,
        "max_tokens": MAX_TOKENS,
    }
    for temperature in TEMPERATURES
    for number, seed in enumerate(SEEDS)
]


@dataclass(frozen=True)
class Run:
    """A worker that has answered every request, in order."""

    worker: WorkerProcessHandle
    outcomes: Sequence[Outcome]


def answer_all(worker: WorkerProcessHandle) -> Run:
    return Run(worker, [run(worker.client, request) for request in REQUESTS])


def make_worker(proof: ProofRecorder, backend: str) -> WorkerProcessHandle:
    return recorded_worker(proof, ["--model", str(MODEL), "--backend", backend])


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def alone(backend: str, proof: ProofRecorder) -> Run:
    """A worker that has the machine to itself, and is gone before the next ones start."""
    with make_worker(proof, backend) as worker:
        health = worker.client.health()
        proof.add(
            "run_config.json",
            model={field: health[field] for field in ("model", "quant_kind", "vocab_size")},
            seeds=SEEDS,
            temperatures=TEMPERATURES,
            max_tokens=MAX_TOKENS,
        )
        return answer_all(worker)


@pytest.fixture(scope="module")
def side_by_side(backend: str, proof: ProofRecorder, alone: Run) -> Iterator[tuple[Run, Run]]:
    """Two workers that answer at the same time, and still run."""
    assert alone.worker.returncode == 0, "the first worker is to be gone"
    with (
        make_worker(proof, backend) as left,
        make_worker(proof, backend) as right,
        ThreadPoolExecutor(2) as both,
    ):
        first, second = both.map(answer_all, (left, right))
        yield first, second


def differing(
    proof: ProofRecorder, comparison: str, temperature: float, left: Run, right: Run
) -> list[Request]:
    triples = zip(REQUESTS, left.outcomes, right.outcomes, strict=True)
    return [
        request
        for request, expected, actual in triples
        if request["temperature"] == temperature
        and not record_pair(proof, comparison, request, expected, actual)
    ]


@pytest.mark.req("M0-SYS-2.3.1", "SYS-2.3.2", "M0-W-1826", "M0-W-1030")
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_a_worker_started_after_another_gives_the_same_bytes(
    temperature: float, proof: ProofRecorder, alone: Run, side_by_side: tuple[Run, Run]
) -> None:
    assert [] == differing(proof, "one-after-the-other", temperature, alone, side_by_side[0])


@pytest.mark.req("M0-SYS-2.3.1", "SYS-2.3.2", "M0-W-1826", "M0-W-1030")
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_two_workers_side_by_side_give_the_same_bytes(
    temperature: float, proof: ProofRecorder, side_by_side: tuple[Run, Run]
) -> None:
    assert [] == differing(proof, "side-by-side", temperature, *side_by_side)


@pytest.mark.req("M0-W-1030", "M0-W-1032")
def test_the_seed_decides_where_there_is_something_to_draw_and_only_there(alone: Run) -> None:
    texts: dict[float, set[tuple[str, bytes]]] = {temperature: set() for temperature in TEMPERATURES}
    for request, outcome in zip(REQUESTS, alone.outcomes, strict=True):
        texts[request["temperature"]].add((request["prompt"], outcome.text))

    assert len(TOPICS) == len(texts[0.0]), "greedy: one answer to each prompt, whatever the seed"
    assert len(texts[0.9]) >= 60, "64 seeds, and hardly two answers alike"


@pytest.mark.req("M0-W-1030")
def test_whatever_else_ran_and_runs_changes_nothing(alone: Run, side_by_side: tuple[Run, Run]) -> None:
    worker = side_by_side[0].worker
    client = worker.client
    drawn = [number for number, request in enumerate(REQUESTS) if request["temperature"] == 0.9][:8]

    with PolledHealth(client) as polled:
        outcomes = []
        for number in drawn:
            disturb(worker, number)
            outcomes.append(run(client, REQUESTS[number]))

    assert [alone.outcomes[number] for number in drawn] == outcomes
    assert polled.num_polls > len(drawn)


def disturb(worker: WorkerProcessHandle, number: int) -> None:
    """A job that is cancelled, one whose client hangs up, one that is refused."""
    # So small a penalty rewards repetition: an answer that does not end before it is interrupted.
    endless = {"temperature": 1.5, "repetition_penalty": 0.1, "max_tokens": 400}
    other = {"prompt": "Write a haiku about tea.", "seed": number, **endless}
    assert "error" == cancel_one(worker, other).name
    client = worker.client
    with closing(client.execute({**other, "job_id": "gone"})) as events:
        next(event for event in events if event.name == "token")
    while client.health()["state"] != "ready":
        pass
    with pytest.raises(WorkerRefused):
        client.complete({**other, "job_id": "refused", "temperature": 3})


class PolledHealth:
    """Asks for `/health` all the time, in a thread of its own."""

    def __init__(self, client: WorkerClient) -> None:
        self._client = client
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._poll)
        self.num_polls = 0

    def __enter__(self) -> "PolledHealth":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _poll(self) -> None:
        while not self._is_over.wait(0.002):
            self._client.health()
            self.num_polls += 1
