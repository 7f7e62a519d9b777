"""A job that is cancelled while it runs, on any device."""

import time
from collections.abc import Mapping
from contextlib import closing

from app.client import ServerEvent
from app.launcher import WorkerProcessHandle

_MOST_JOBS = 20
_TELLING_S = 10.0


def cancel_one(worker: WorkerProcessHandle, request: Mapping[str, object]) -> ServerEvent:
    """Run a job, cancel it after its first token, and return its last event.

    A fast device may have ended a job by itself before a busy host's cancel comes. Where the worker says that
    the cancel found none running, another is tried; no other excuse counts.
    """
    for number in range(_MOST_JOBS):
        job_id = f"cancelled-{number}"
        before = len(worker.events("cancel"))
        with closing(worker.client.execute({**request, "job_id": job_id})) as events:
            next(event for event in events if event.name == "token")
            worker.client.cancel(job_id)
            *_, last = events
        if found_running(worker, before):
            return last
    raise AssertionError(f"{_MOST_JOBS} jobs ended before their cancel came")


def found_running(worker: WorkerProcessHandle, before: int) -> bool:
    """Whether the cancel that is told after so many others found its job running."""
    deadline_s = time.monotonic() + _TELLING_S
    while len(worker.events("cancel")) <= before:
        assert time.monotonic() < deadline_s, "the worker told of no cancel"
        time.sleep(0.001)
    found: bool = worker.events("cancel")[before]["found"]
    return found
