"""`worker-orcd demo`: a real worker, the model on board, one haiku."""

import argparse
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from importlib.resources import as_file, files

from rich.console import Console
from rich.table import Table

from app.client import WorkerClient
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


def run_demo(arguments: Sequence[str]) -> int:
    """Start a worker, stream one answer to the terminal, stop the worker. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="worker-orcd demo", description=__doc__)
    parser.add_argument("--prompt", default=PROMPT, help="what to ask for")
    options = parser.parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True)
    try:
        with as_file(files("app.models") / MODEL_ON_BOARD) as model:
            return _show(console, str(model.resolve()), options.prompt)
    except KeyboardInterrupt:
        console.print("\n[yellow]stopped[/]")
        return 130
    except WorkerDidNotStart as error:
        print(f"the worker did not start: {error}", file=sys.stderr)  # noqa: T201 for the person
        return 1


def _show(console: Console, model: str, prompt: str) -> int:
    backend = "cuda" if CudaBackend().device_count() else "fake"
    what = "an NVIDIA GPU" if backend == "cuda" else "the CPU stand-in (no usable NVIDIA GPU)"
    console.print(f"[bold]Starting a worker[/] on {what} ...")
    worker = WorkerProcessHandle(["--model", model, "--backend", backend], on_narration=_teller(console))
    with worker:
        console.print(f"\n[bold]POST /execute[/]  {prompt!r}\n")
        succeeded = _stream(console, worker.client, prompt)
        _print_health(console, worker.client)
        console.print("[bold]Stopping the worker[/] ...")
    console.print(f"The worker left with exit status {worker.returncode}.")
    return 0 if succeeded and worker.returncode == 0 else 1


def _teller(console: Console) -> Callable[[Narration], None]:
    def tell(narration: Narration) -> None:
        if not narration["event"].startswith("execute"):
            console.print(f"  [dim]{narration['event']:<20} {narration['human']}[/]")

    return tell


def _stream(console: Console, client: WorkerClient, prompt: str) -> bool:
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
            console.print(f"[green]{event.data['t']}[/]", end="")
        elif event.name == "end":
            console.print("\n")
            _print_speed(console, event.data, asked_at_s, first_at_s, last_at_s)
            return True
        elif event.name == "error":
            console.print(f"\n[red]{event.data['code']}: {event.data['message']}[/]")
    return False


def _print_speed(
    console: Console, end: Narration, asked_at_s: float, first_at_s: float | None, last_at_s: float | None
) -> None:
    if first_at_s is None or last_at_s is None:
        return
    rate = (end["tokens_out"] - 1) / (last_at_s - first_at_s) if last_at_s > first_at_s else 0.0
    console.print(
        f"{end['tokens_out']} tokens, {rate:.0f} tokens/s, "
        f"time to first token {1000 * (first_at_s - asked_at_s):.1f} ms, "
        f"{end['stop_reason']}, seed {end['seed']}\n"
    )


def _print_health(console: Console, client: WorkerClient) -> None:
    health = client.health()
    table = Table("GET /health", "", title_justify="left")
    for field in _HEALTH_FIELDS:
        table.add_row(field, str(health[field]))
    console.print(table)
