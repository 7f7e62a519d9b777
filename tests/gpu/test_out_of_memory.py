"""A device that others have filled: the worker says what it needs and what there is, and does not start."""

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.gpu.port import ModelPath

ROOT = Path(__file__).parents[2]
LEFT_BYTES = 2 * 2**30  # a context fits, and files of half a gigabyte; the model of 2.4 GB does not


@contextmanager
def filled_device() -> Iterator[None]:
    """Another process holds all but `LEFT_BYTES`."""
    command = [sys.executable, "-m", "tests.gpu.memory_holder", str(LEFT_BYTES)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert int(holder.stdout.readline()) > 0
        yield
        holder.communicate()
    assert 0 == holder.returncode


@pytest.mark.gpu
@pytest.mark.req("M0-W-1020", "M0-W-1111")
def test_a_model_that_finds_the_device_filled_is_refused_with_the_four_facts(true_size: ModelPath) -> None:
    path = str(true_size("phi-3-mini-4k-q4_k_m"))
    options = {"model": path, "worker-id": uuid.uuid4(), "gpu-device": 0, "port": 0}
    command = [sys.executable, "-m", "app", *(f"--{name}={value}" for name, value in options.items())]

    with filled_device():
        refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    narration = [json.loads(line) for line in refused.stdout.splitlines()]
    (error,) = [event for event in narration if event["event"] == "error"]
    assert (1, "INSUFFICIENT_VRAM") == (refused.returncode, error["error_kind"])
    assert error["vram_required_bytes"] > Path(path).stat().st_size
    assert 0 < error["vram_available_bytes"] < LEFT_BYTES
    assert (0, path) == (error["gpu_device"], error["model_path"])
    assert "ready" not in [event["event"] for event in narration]
    assert refused.stderr.startswith("worker-orcd: INSUFFICIENT_VRAM: ")
