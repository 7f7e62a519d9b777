"""A job that is cancelled while it runs, on any device."""

from collections.abc import Mapping
from contextlib import closing

from app.client import ServerEvent, WorkerClient

_MOST_JOBS = 20


def cancel_one(client: WorkerClient, request: Mapping[str, object]) -> ServerEvent:
    """Run a job, cancel it after its first token, and return its last event.

    A fast device may have ended a job by itself before a busy host's cancel comes. Then another is tried.
    """
    for _ in range(_MOST_JOBS):
        with closing(client.execute({**request, "job_id": "cancelled"})) as events:
            next(event for event in events if event.name == "token")
            client.cancel("cancelled")
            *_, last = events
        if last.name != "end":
            return last
    raise AssertionError(f"{_MOST_JOBS} jobs ended before their cancel came")
