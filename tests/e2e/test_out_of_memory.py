"""Memory that runs out at every allocation of a job in turn, in one real worker process."""

from collections.abc import Callable

import pytest

from app.launcher import WorkerProcessHandle

Start = Callable[..., WorkerProcessHandle]

NUM_PAGES = 32  # the whole KV pool: 512 positions. A page that did not come back would be missed at once.


@pytest.mark.req("M0-W-1021", "M0-W-1825")
def test_every_allocation_of_a_job_may_fail_and_the_next_job_has_all_the_memory(start: Start) -> None:
    worker = start(*faults())
    baseline = worker.client.health()["vram_bytes_used"]

    for _ in range(NUM_PAGES):
        assert [("started", None), ("error", "VRAM_OOM")] == run_in_all_memory(worker)

        health = worker.client.health()

        assert ("unhealthy", True, "ready") == (health["status"], health["resident"], health["state"])
        assert ("end", None) == run_in_all_memory(worker)[-1]

        health = worker.client.health()

        assert ("healthy", baseline) == (health["status"], health["vram_bytes_used"])
    assert 0 == worker.stop()  # then all that it told has been read
    assert 2 * NUM_PAGES == len(worker.events("execute_end"))


def faults() -> list[str]:
    """A first job that fails at its first allocation, one that passes, one that fails at its second, ..."""
    arguments = []
    num_allocations = 0
    for number in range(NUM_PAGES):
        arguments += ["--fake-fault", f"allocation-failure@{num_allocations + number}"]
        num_allocations += number + 1 + NUM_PAGES
    return arguments


def run_in_all_memory(worker: WorkerProcessHandle) -> list[tuple[str, str | None]]:
    # BOS and 507 bytes: room for four tokens is left
    request = {"job_id": "job", "prompt": "x" * 507, "max_tokens": 2048, "temperature": 0}
    return [(event.name, event.data.get("code")) for event in worker.client.execute(request)]
