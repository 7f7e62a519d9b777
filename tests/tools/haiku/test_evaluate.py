"""The measurement through the worker's API, against a stub that speaks its protocol."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from app.client import JobFailed, WorkerClient, WorkerRefused
from tools.haiku.corpus import Request
from tools.haiku.evaluate import fresh_requests, measure, strangers_requests, table
from tools.haiku.scoring import score

POEM = "forty-two raindrops\nthe river runs past the bridge\nthe code a3f9c21b waits"


class StubWorker(BaseHTTPRequestHandler):
    """Answers every job with POEM, or as the prompt says."""

    def do_POST(self) -> None:
        job = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        refused = job["prompt"] == "refuse"
        self.send_response(503 if refused else 200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(b"{}" if refused else "".join(self.events(job)).encode())

    def events(self, job: dict[str, object]) -> Iterator[str]:
        yield self.event("started", {"job_id": job["job_id"], "seed": job["seed"]})
        yield ": ping\n\n"
        if job["prompt"] == "fail":
            yield self.event("error", {"code": "CANCELLED", "message": "stopped"})
            return
        for i, fragment in enumerate(POEM.split(" ")):
            yield self.event("token", {"t": fragment if i == 0 else f" {fragment}", "i": i})
        if job["prompt"] != "cut":
            yield self.event("end", {"tokens_out": 12, "stop_reason": "EOS"})

    def event(self, name: str, data: dict[str, object]) -> str:
        return f"event: {name}\ndata: {json.dumps(data)}\n\n"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        del format, args


@pytest.fixture(scope="module")
def client() -> Iterator[WorkerClient]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), StubWorker)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield WorkerClient(f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    thread.join()
    server.server_close()


def request(*words: str, nonce: str | None = None, prompt: str = "p") -> Request:
    return Request(prompt, words, nonce, "rain", ())


def execute(client: WorkerClient, prompt: str) -> str:
    return client.complete({"job_id": "j", "prompt": prompt, "max_tokens": 8, "seed": 1}).text


def test_the_fragments_of_a_stream_join_to_the_answer(client: WorkerClient) -> None:
    assert execute(client, "anything") == POEM


@pytest.mark.parametrize("prompt", ["refuse", "fail", "cut"])
def test_a_refused_failed_or_cut_job_is_an_error_not_an_answer(client: WorkerClient, prompt: str) -> None:
    with pytest.raises((WorkerRefused, JobFailed)):
        execute(client, prompt)


def test_a_run_is_scored_and_printed_as_a_table(client: WorkerClient) -> None:
    requests = [request("forty-two", nonce="a3f9c21b"), request("seven"), request(nonce="zzzzzzzz")]

    text = table(requests, [measure(client, requests, temperature=0.8)])

    row = "| temperature 0.8 | 33.3 % (1/3) | 50.0 % (1/2) | 50.0 % (1/2) | 1 of 3 |"
    assert row in text.splitlines()
    assert "36 tokens" in text


def test_a_word_counts_only_whole_and_a_nonce_only_letter_for_letter() -> None:
    answer = "Rain,\nseven code a3f9C21b"

    result = score([request("rain", "seven", nonce="a3f9c21b"), request("even")], [answer, answer])

    assert (result.num_words, result.num_words_kept) == (2, 1)
    assert (result.num_nonces, result.num_nonces_kept) == (1, 0)


def test_the_fresh_prompts_are_the_same_for_the_same_seed_only() -> None:
    assert fresh_requests(10, 1) == fresh_requests(10, 1)
    assert fresh_requests(10, 1) != fresh_requests(10, 2)


def test_the_prompts_of_strangers_hold_what_they_demand() -> None:
    requests = strangers_requests()

    assert len(requests) > 40
    assert all(word in one.prompt for one in requests for word in one.wanted)
    assert [one.nonce for one in requests if "Qm7TzK2w" in one.prompt] == ["Qm7TzK2w"]
