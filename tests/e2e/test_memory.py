"""How much host memory the stand-in takes, as the operating system counts it."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from app.launcher import WorkerProcessHandle
from tests.support.tiny_gguf import Size, write_tiny_gguf

MIB = 2**20
ALLOWANCE_BYTES = 300 * MIB


def peak_resident_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
    return int(kilobytes) * 1024


@pytest.mark.req("M0-W-1221", "M0-W-1222")
def test_resident_memory_stays_below_the_float32_weights_and_300_mb(
    start: Callable[..., WorkerProcessHandle], tmp_path: Path
) -> None:
    size = Size(hidden=1024, intermediate=4096, num_layers=4)
    model = write_tiny_gguf(tmp_path / "large.gguf", size)
    parameters = size.num_layers * (3 * size.hidden**2 + 3 * size.hidden * size.intermediate)
    assert 4 * parameters > 200 * MIB, "too small to tell one copy from two"

    worker = start(model=model)
    list(worker.client.execute({"job_id": "j", "prompt": "x" * 300, "max_tokens": 4}))

    assert peak_resident_bytes(worker.pid) < 4 * parameters + ALLOWANCE_BYTES
