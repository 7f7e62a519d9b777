"""The one table of active jobs."""

from collections.abc import Sequence

from domain.errors import DuplicateJob, WorkerBusy
from domain.job import Job


class JobTable:
    """Holds the jobs that occupy a slot. No queue: a job that finds none is refused.

    `register` is called by the event loop alone; `release` by any thread. Each changes the table by one
    dictionary operation, so a slot can be freed at any moment and never handed out twice.
    """

    def __init__(self, num_slots: int) -> None:
        self._num_slots = num_slots
        self._jobs: dict[Job, None] = {}  # in the order in which they came

    def check_free(self, job_id: str) -> None:
        """Refuse a job that cannot be registered now.

        Raises:
            DuplicateJob: a job of that id is active.
            WorkerBusy: every slot is taken.
        """
        if self.find(job_id) is not None:
            raise DuplicateJob(f"job {job_id} is running now")
        if len(self._jobs) >= self._num_slots:
            raise WorkerBusy("another job is running; try again in a second")

    def register(self, job: Job) -> None:
        """Take a slot for `job`. Raises as `check_free`."""
        self.check_free(job.job_id)
        self._jobs[job] = None

    def release(self, job: Job) -> None:
        """Give the slot back. Idempotent."""
        self._jobs.pop(job, None)

    def find(self, job_id: str) -> Job | None:
        return next((job for job in self.active() if job.job_id == job_id), None)

    def active(self) -> Sequence[Job]:
        return list(self._jobs)
