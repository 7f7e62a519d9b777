"""A kernel that traps under the model: each in a process of its own, since the device is lost to all of it.

What the worker makes of a lost device is shown on the stand-in as well: `tests/e2e/test_life.py`.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.gpu

ROOT = Path(__file__).parents[2]


def output_of(program: str, *arguments: str) -> str:
    command = [sys.executable, "-m", f"tests.gpu.{program}", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.mark.req("M0-W-1501", "M0-W-1401")
def test_a_model_whose_device_is_lost_says_so_from_then_on_and_can_be_closed() -> None:
    expected = [
        "step: DeviceLost",
        "step again: DeviceLost",
        "open: DeviceLost",
        "score: DeviceLost",
        "residency: DeviceLost",
        "memory: done",
        "close sequence: done",
        "close: done",
        "close device: done",
    ]

    assert expected == output_of("lost_model").splitlines()


@pytest.mark.req("M0-W-1501", "M0-W-1401", "M0-W-1012")
def test_a_worker_whose_device_is_lost_fails_the_job_refuses_others_and_leaves_in_order(
    tmp_path: Path,
) -> None:
    seen = json.loads(output_of("trapped_worker", str(tmp_path)))

    assert ["error", "CUDA_ERROR"] == seen["terminal"]
    assert ["503 WORKER_UNHEALTHY"] * 2 == seen["refusals"]
    assert ["unhealthy", "the device is lost"] == seen["health"]
    assert 0 == seen["exit_status"]
    assert "shutdown" == seen["narration"][-1]
