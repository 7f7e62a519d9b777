"""Measure the model through the worker's HTTP API: fresh prompts at temperature 0 and 0.8.

Command: python -m tools.haiku.evaluate --url http://127.0.0.1:8080
Needs a running worker with the model loaded; uses only POST /execute, one request after another.
"""

import argparse
import sys
import time
from dataclasses import dataclass
from http.client import HTTPException
from itertools import islice

from app.client import JobFailed, WorkerClient, WorkerRefused
from tools.haiku.corpus import MEASURED, Request, random_pairs
from tools.haiku.lexicon import NONCE, load_lexicon
from tools.haiku.scoring import HEADER, score
from tools.haiku.word_tables import lines_of

PROMPT_SEED = 20_260_001
"""Of the held-out prompts: training used seeds from 2000 to 4501."""

MAX_TOKENS = 64
TEMPERATURES = (0.0, 0.8)


@dataclass(frozen=True, slots=True)
class Run:
    """One row of the table: all prompts at one temperature."""

    temperature: float
    answers: list[str]
    elapsed_s: float
    num_tokens: int

    @property
    def name(self) -> str:
        return f"temperature {self.temperature}"


def main() -> int:
    """Print a table for each set of prompts; exit status 1 where the worker does not answer them."""
    parser = argparse.ArgumentParser(prog="python -m tools.haiku.evaluate", description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--num-prompts", type=int, default=500)
    parser.add_argument("--seed", type=int, default=PROMPT_SEED)
    arguments = parser.parse_args()
    try:
        _print_tables(WorkerClient(arguments.url), arguments)
    except (WorkerRefused, JobFailed, OSError, HTTPException, ValueError) as error:
        print(f"{arguments.url}: {error}", file=sys.stderr)
        return 1
    return 0


def _print_tables(client: WorkerClient, arguments: argparse.Namespace) -> None:
    for title, requests in (
        ("Fresh prompts", fresh_requests(arguments.num_prompts, arguments.seed)),
        ("Prompts of strangers", strangers_requests()),
    ):
        runs = [measure(client, requests, temperature=t) for t in TEMPERATURES]
        print(f"{title}:\n\n{table(requests, runs)}\n", flush=True)


def fresh_requests(num_prompts: int, seed: int) -> list[Request]:
    """Requests the grammar can fulfil, so that a perfect model would score 100 %."""
    return [request for request, _ in islice(random_pairs(seed, MEASURED), num_prompts)]


def strangers_requests() -> list[Request]:
    """Prompts written by hand, which no template makes: does the model stand other phrasings?"""
    rows = [line.partition("|") for line in lines_of("strangers")]
    return [stranger_request(prompt.strip(), wanted.split()) for prompt, _, wanted in rows]


def stranger_request(prompt: str, wanted: list[str]) -> Request:
    known = load_lexicon().syllables
    nonces = [word for word in wanted if NONCE.fullmatch(word) and word.lower() not in known]
    words = tuple(word for word in wanted if word not in nonces)
    return Request(prompt, words, nonces[0] if nonces else None, theme="", hints=())


def measure(client: WorkerClient, requests: list[Request], *, temperature: float) -> Run:
    """Each prompt once; its number is its sampling seed."""
    start = time.monotonic()
    answers = [
        client.complete(
            {
                "job_id": f"haiku-{i}",
                "prompt": request.prompt,
                "max_tokens": MAX_TOKENS,
                "temperature": temperature,
                "seed": i,
            }
        )
        for i, request in enumerate(requests)
    ]
    elapsed_s = time.monotonic() - start
    num_tokens = sum(answer.end["tokens_out"] for answer in answers)
    return Run(temperature, [answer.text for answer in answers], elapsed_s, num_tokens)


def table(requests: list[Request], runs: list[Run]) -> str:
    """Markdown: the shares, then the speed as the client saw it."""
    rows = [score(requests, run.answers).row(run.name) for run in runs]
    speeds = [
        f"{run.name}: {run.num_tokens} tokens in {run.elapsed_s:.1f} s, "
        f"{run.num_tokens / max(run.elapsed_s, 1e-9):.0f} tok/s with requests and prefill"
        for run in runs
    ]
    return "\n".join([HEADER, *rows, "", *speeds])


if __name__ == "__main__":
    sys.exit(main())
