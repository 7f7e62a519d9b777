"""A real worker process and one client: a prompt of 16 tokens, 128 tokens of answer, temperature 0."""

import time
from collections.abc import Iterator, Sequence

from adapters_outbound.gguf.opener import GgufModelFileOpener
from adapters_outbound.tokenizers.factory import build_tokenizer
from app.client import JobFailed, WorkerClient, WorkerRefused
from app.launcher import WorkerDidNotStart, WorkerProcessHandle
from bench.gpu.figure import Figure, MeasurementFailed
from bench.gpu.peer import Peer
from bench.gpu.plan import BenchPlan
from ports.tokenizer import Tokenizer

_NUM_PROMPT_TOKENS = 16
_WORDS = "the quick brown fox jumps over a lazy dog while seven wizards boil their jugs of ink "


def measure_http(
    path: str, worker_arguments: Sequence[str], plan: BenchPlan, peer: Peer, *, engine_rate: float | None
) -> Iterator[Figure]:
    """Start the worker several times, then ask the last one.

    Args:
        path: the model.
        worker_arguments: of `worker-orcd`, beside the model.
        plan: how often.
        peer: what to hold it against.
        engine_rate: tokens per second of the backend alone, at a similar context.

    Raises:
        MeasurementFailed: the worker did not start or did not answer.
    """
    try:
        yield from _figures(path, worker_arguments, plan, peer, engine_rate)
    except (WorkerDidNotStart, WorkerRefused, JobFailed, OSError) as error:
        raise MeasurementFailed(f"{type(error).__name__}: {error}") from error


def _figures(
    path: str, worker_arguments: Sequence[str], plan: BenchPlan, peer: Peer, engine_rate: float | None
) -> Iterator[Figure]:
    prompts = _prompts(path, plan.num_repeats + 1)
    worker_command = ["--model", path, *worker_arguments]
    starts_s = [_start_s(worker_command) for _ in range(plan.num_starts + 1)][1:]
    yield Figure("start to ready", "s", starts_s, peer=peer.ready_s)
    with WorkerProcessHandle(worker_command) as worker:
        answers = [_ask(worker.client, prompt, plan.num_timed_tokens) for prompt in prompts][1:]
    first_ms = [1000 * first_s for first_s, _ in answers]
    yield Figure("first token over HTTP", "ms", first_ms, peer=peer.first_token_ms)
    rates = [rate for _, rate in answers]
    yield Figure("tokens over HTTP", "tokens/s", rates, limit=engine_rate, peer=peer.http_tokens_per_s)


def _start_s(worker_command: Sequence[str]) -> float:
    """From the start of the process until it is told to be ready."""
    start_s = time.perf_counter()
    with WorkerProcessHandle(worker_command):
        return time.perf_counter() - start_s


def _ask(client: WorkerClient, prompt: str, num_tokens: int) -> tuple[float, float]:
    """Seconds to the first token event, and tokens per second from there to the last."""
    request = {"job_id": "bench-gpu", "prompt": prompt, "max_tokens": num_tokens, "temperature": 0, "seed": 1}
    arrivals_s: list[float] = []
    num_later = 0
    start_s = time.perf_counter()
    for event in client.execute(request):
        if event.name == "token":
            num_later += len(event.data["ids"]) if arrivals_s else 0
            arrivals_s.append(time.perf_counter())
        elif event.name == "error":
            raise JobFailed(f"{event.data.get('code')}: {event.data.get('message')}")
    if num_later < num_tokens // 2:
        raise MeasurementFailed(f"the answer ended after {num_later + 1} of {num_tokens} tokens")
    return arrivals_s[0] - start_s, num_later / (arrivals_s[-1] - arrivals_s[0])


def _prompts(path: str, count: int) -> list[str]:
    """Texts of 16 tokens, each another."""
    file = GgufModelFileOpener().open(path)
    tokenizer = build_tokenizer(file.metadata, path=path)
    file.close()
    return [_prompt(tokenizer, f"{number} {2 * _WORDS}") for number in range(count)]


def _prompt(tokenizer: Tokenizer, text: str) -> str:
    """The beginning of `text` that has 16 tokens."""
    for length in range(len(text)):
        token_ids = tokenizer.encode(text[:length], add_bos=tokenizer.adds_bos, parse_special=True)
        if len(token_ids) == _NUM_PROMPT_TOKENS:
            return text[:length]
    raise MeasurementFailed(f"no text of {_NUM_PROMPT_TOKENS} tokens was found")
