"""The profile of kernels times each of them, in steps and in chunks."""

from contextlib import closing
from pathlib import Path

import pytest

import app.models
from app.demo import MODEL_ON_BOARD
from backends.cuda.context import Context
from backends.cuda.memory import DeviceMemory
from bench.gpu.kernel_times import KernelTimes

MODEL = Path(app.models.__file__).parent / MODEL_ON_BOARD


@pytest.mark.gpu
@pytest.mark.req("M0-W-1430")
def test_every_kernel_has_a_time() -> None:
    context = Context.open(0)
    memory = DeviceMemory(context)
    with closing(KernelTimes(context, memory, str(MODEL))) as times:
        tables = list(times.tables())
    memory.close()
    context.close()

    assert tables[0].startswith("step at 100\n")
    assert any(table.startswith("prompt of 16\n") for table in tables)
    for table in tables:
        rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()[3:]]
        assert all(float(row[-1]) > 0 for row in rows)
        assert ["one by one", "together"] == [row[0] for row in rows[-2:]]
        assert sum(int(row[1]) for row in rows[:-2]) == int(rows[-1][1])
