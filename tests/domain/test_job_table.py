"""The table of active jobs, with two threads that free the same slot."""

from threading import Thread

from domain.job import Job
from domain.job_table import JobTable
from tests.support.bench_worker import Bench


def test_two_threads_may_free_a_slot_at_once() -> None:
    bench = Bench()
    job, table = bench.admit(), JobTable(1)
    others = [Thread(target=table.release, args=[job])]

    class Interrupted(dict[str, Job]):
        """Between looking and deleting, the other thread comes, and has time to delete."""

        def get(self, key: str, default: Job | None = None) -> Job | None:  # type: ignore[override] # as called
            found = super().get(key, default)
            if others:
                other = others.pop()
                other.start()
                other.join(0.2)
                stopped.append(other)
            return found

    stopped: list[Thread] = []
    table._jobs = Interrupted()
    table.register(job)
    table.release(job)
    stopped.pop().join(5)

    assert not table.active()
