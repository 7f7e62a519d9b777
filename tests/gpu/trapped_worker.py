"""A whole worker in this process, whose device is lost under a running job; prints what its client saw.

The trap comes from another thread of the process: the worker's own code knows nothing of it.
"""

import json
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from app.client import WorkerClient, WorkerRefused
from tests.gpu.trap import make_trap
from tests.support.backends import make_backend
from tests.support.in_process import run, settings_with

JOB = {"job_id": "job", "prompt": "hello", "max_tokens": 400, "temperature": 0}


def main() -> None:
    """The argument is a folder for the model file."""
    seen: dict[str, Any] = {}
    settings = settings_with(Path(sys.argv[1]), backend="cuda")
    status, narrator = run(settings, make_backend("cuda"), when_ready=lambda uri: use(uri, seen))
    print(json.dumps({**seen, "exit_status": status, "narration": narrator.names()}))  # noqa: T201 # the test reads it


def use(uri: str, seen: dict[str, Any]) -> None:
    """Lose the device in the midst of a job, then ask for another; `seen` takes what comes back."""
    client, trap = WorkerClient(uri), make_trap()
    with closing(client.execute(JOB)) as events:
        next(event for event in events if event.name == "token")
        trap()
        *_, last = events
    seen["terminal"] = [last.name, last.data["code"]]
    seen["refusals"] = [refusal_of(client) for _ in range(2)]
    health = client.health()
    seen["health"] = [health["status"], health["unhealthy_reason"]]


def refusal_of(client: WorkerClient) -> str:
    try:
        return str(list(client.execute(JOB)))
    except WorkerRefused as refused:
        return f"{refused.status} {refused.code}"


if __name__ == "__main__":
    main()
