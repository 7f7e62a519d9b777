"""A real worker process, measured by a client over a socket."""

import http.client
import multiprocessing
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Event

from app.client import WorkerClient
from app.launcher import WorkerProcessHandle
from bench.prompts import WARM_UP, request
from tests.proof_bundle.recorded_worker import recorded_worker
from tests.proof_bundle.records import ProofRecorder


@dataclass(frozen=True)
class HttpSpeed:
    """Times of the worker as its caller sees them, in seconds."""

    start_to_ready_s: float
    first_token_s: Sequence[float]
    between_tokens_s: Sequence[float]  # from one token event to the next
    decode_s_per_token: float
    decoded_tokens: int
    health_s: Sequence[float]  # while generating


def percentile(seconds: Sequence[float], percent: int) -> float:
    return statistics.quantiles(seconds, n=100, method="inclusive")[percent - 1]


def measure(path: str, *, num_requests: int, proof: ProofRecorder) -> HttpSpeed:
    """Start a worker on the stand-in, run the requests one after another, then again under `/health` load.

    What is asked and answered goes into `proof`, which costs a microsecond or two for each event.
    """
    start_s = time.perf_counter()
    with recorded_worker(proof, ["--model", path, "--backend", "fake"]) as worker:
        start_to_ready_s = time.perf_counter() - start_s
        client = worker.client
        for number in range(WARM_UP):
            _run(client, number)
        runs = [_run(client, number) for number in range(num_requests)]
        health_s = _health_while_generating(worker, num_requests)
    return HttpSpeed(
        start_to_ready_s=start_to_ready_s,
        first_token_s=[run.first_token_s for run in runs],
        between_tokens_s=[gap_s for run in runs for gap_s in run.gaps_s],
        decode_s_per_token=sum(run.decode_s for run in runs) / sum(run.tokens for run in runs),
        decoded_tokens=sum(run.tokens for run in runs),
        health_s=health_s,
    )


@dataclass(frozen=True)
class _Run:
    first_token_s: float
    gaps_s: Sequence[float]  # from one token event to the next
    tokens: int  # in that time

    @property
    def decode_s(self) -> float:
        """From the first token event to the last."""
        return sum(self.gaps_s)


def _run(client: WorkerClient, number: int) -> _Run:
    start_s = time.perf_counter()
    arrivals_s: list[float] = []
    tokens = 0
    for event in client.execute({"job_id": f"bench-{number}", **request(number)}):
        if event.name == "token":
            tokens += len(event.data["ids"]) if arrivals_s else 0
            arrivals_s.append(time.perf_counter())
        elif event.name == "end":
            gaps_s = [later - earlier for earlier, later in pairwise(arrivals_s)]
            return _Run((arrivals_s or [start_s])[0] - start_s, gaps_s, tokens)
    raise RuntimeError(f"request {number} did not end")


def _health_while_generating(worker: WorkerProcessHandle, num_requests: int) -> list[float]:
    context = multiprocessing.get_context("spawn")  # a process of its own: here it would wait for our client
    is_over, answer = context.Event(), context.SimpleQueue()
    asker = context.Process(target=_ask_health, args=(worker.base_url, is_over, answer))
    asker.start()
    for number in range(num_requests):
        _run(worker.client, number)
    is_over.set()
    seconds: list[float] = answer.get()
    asker.join()
    return seconds


def _ask_health(base_url: str, is_over: Event, answer: "SimpleQueue[list[float]]") -> None:
    connection = http.client.HTTPConnection(base_url.removeprefix("http://"))
    seconds: list[float] = []
    while not is_over.is_set():
        start_s = time.perf_counter()
        connection.request("GET", "/health")
        connection.getresponse().read()
        seconds.append(time.perf_counter() - start_s)
        time.sleep(0.002)
    connection.close()
    answer.put(seconds)
