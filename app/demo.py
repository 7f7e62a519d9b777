"""`worker-orcd demo`: a real worker, the model on board, one haiku."""

import argparse
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from importlib.resources import as_file, files
from types import FrameType
from typing import NoReturn

from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.client import WorkerClient, WorkerRefused
from app.launcher import Narration, WorkerDidNotStart, WorkerProcessHandle
from backends.cuda.backend import CudaBackend

MODEL_ON_BOARD = "haiku-q4_k_m.gguf"
PROMPT = "Write a haiku about GPU computing that contains the word forty-two."

_HEALTH_FIELDS = (
    "status",
    "state",
    "model",
    "architecture",
    "quant_kind",
    "resident",
    "vram_bytes_used",
    "tokenizer_kind",
    "vocab_size",
    "context_length",
)


class _Terminal(Console):
    """Where the demo speaks. What others say, a prompt or an answer, is shown as it is: it is no markup."""

    def __init__(self) -> None:
        super().__init__(highlight=False, soft_wrap=True, markup=False, emoji=False)

    def on_broken_pipe(self) -> None:
        """Let the error through: of its own accord it ends the thread that prints, and no other."""
        raise  # noqa: PLE0704 called while the error is handled


def run_demo(arguments: Sequence[str]) -> int:
    """Start a worker, stream one answer to the terminal, stop the worker. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="worker-orcd demo", description=__doc__)
    parser.add_argument("--prompt", default=PROMPT, help="what to ask for")
    options = parser.parse_args(arguments)
    terminal = _Terminal()
    try:
        with _left_in_order(), as_file(files("app.models") / MODEL_ON_BOARD) as model:
            return _show(terminal, str(model.resolve()), options.prompt)
    except KeyboardInterrupt:
        terminal.print("\nstopped", style="yellow")
        return 128 + signal.SIGINT
    except WorkerDidNotStart as error:
        return _fail(f"the worker did not start: {error}")
    except WorkerRefused as error:
        return _fail(str(error))
    except HTTPException as error:
        return _fail(f"the worker no longer answers: {type(error).__name__}")


@contextmanager
def _left_in_order() -> Iterator[None]:
    """Let SIGTERM and SIGHUP stop the worker too: it has a session of its own, and would stay."""
    numbers = [number for number in (signal.SIGTERM, signal.SIGHUP) if not _is_ignored(number)]
    before = {number: signal.signal(number, _leave) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_ignored(number: signal.Signals) -> bool:
    """As `nohup` has it, which is to stay so."""
    return signal.getsignal(number) is signal.SIG_IGN


def _leave(number: int, _: FrameType | None) -> NoReturn:
    sys.exit(128 + number)  # by way of the worker's context, which stops it


def _fail(message: str) -> int:
    print(f"worker-orcd demo: {message}", file=sys.stderr)  # noqa: T201 for the person
    return 1


def _show(terminal: Console, model: str, prompt: str) -> int:
    backend = "cuda" if CudaBackend().device_count() else "fake"
    what = "an NVIDIA GPU" if backend == "cuda" else "the CPU stand-in (no usable NVIDIA GPU)"
    terminal.print(Text("Starting a worker", "bold"), f"on {what} ...")
    worker = WorkerProcessHandle(["--model", model, "--backend", backend], on_narration=_teller(terminal))
    with worker:
        terminal.print(Text("\nPOST /execute", "bold"), f" {prompt!r}\n")
        succeeded = _stream(terminal, worker.client, prompt)
        _print_health(terminal, worker.client)
        terminal.print(Text("Stopping the worker", "bold"), "...")
    terminal.print(f"The worker left with exit status {worker.returncode}.")
    return 0 if succeeded and worker.returncode == 0 else 1


def _teller(terminal: Console) -> Callable[[Narration], None]:
    def tell(narration: Narration) -> None:
        if not narration["event"].startswith("execute"):
            terminal.print(f"  {narration['event']:<20} {narration['human']}", style="dim")

    return tell


def _stream(terminal: Console, client: WorkerClient, prompt: str) -> bool:
    request = {
        "job_id": f"demo-{secrets.token_hex(4)}",
        "prompt": prompt,
        "temperature": 0.7,
        "max_tokens": 64,
    }
    asked_at_s = time.perf_counter()
    first_at_s = last_at_s = None
    for event in client.execute(request):
        if event.name == "token":
            last_at_s = time.perf_counter()
            first_at_s = first_at_s or last_at_s
            terminal.print(event.data["t"], style="green", end="")
        elif event.name == "end":
            terminal.print("\n")
            _print_speed(terminal, event.data, asked_at_s, first_at_s, last_at_s)
            return True
        elif event.name == "error":
            terminal.print(f"\n{event.data['code']}: {event.data['message']}", style="red")
    return False


def _print_speed(
    terminal: Console, end: Narration, asked_at_s: float, first_at_s: float | None, last_at_s: float | None
) -> None:
    if first_at_s is None or last_at_s is None:
        return
    rate = (end["tokens_out"] - 1) / (last_at_s - first_at_s) if last_at_s > first_at_s else 0.0
    terminal.print(
        f"{end['tokens_out']} tokens, {rate:.0f} tokens/s, "
        f"time to first token {1000 * (first_at_s - asked_at_s):.1f} ms, "
        f"{end['stop_reason']}, seed {end['seed']}\n"
    )


def _print_health(terminal: Console, client: WorkerClient) -> None:
    health = client.health()
    table = Table("GET /health", "", title_justify="left")
    for field in _HEALTH_FIELDS:
        table.add_row(field, str(health[field]))
    terminal.print(table)
