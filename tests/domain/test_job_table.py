"""The table of active jobs, whose slots two threads may free at once."""

import pytest

from domain.errors import DuplicateJob
from domain.job_table import JobTable
from tests.support.bench_worker import Bench


def test_whoever_frees_a_slot_late_leaves_the_next_job_of_that_id_in_its_place() -> None:
    table = JobTable(1)
    first, second = Bench().admit("job"), Bench().admit("job")
    table.register(first)
    with pytest.raises(DuplicateJob):
        table.register(second)
    table.release(first)
    table.register(second)
    table.release(first)

    assert second is table.find("job")
    assert [second] == table.active()
