"""The host keeps nothing of a model that is on the device."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.launcher import WorkerProcessHandle
from tests.golden.oracle import DIRECTORY
from tests.gpu.host_memory import is_mapped, private_bytes
from tests.gpu.port import ModelPath
from tests.support.backends import BACKENDS
from tests.support.tiny_gguf import write_tiny_gguf

ROOT = Path(__file__).parents[2]
LIMIT_BYTES = 64 * 10**6


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("model") / "tiny.gguf")


@pytest.mark.req("M0-W-1221")
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_worker_that_is_ready_has_unmapped_the_file(backend: str, tiny_model: Path) -> None:
    with WorkerProcessHandle(["--model", str(tiny_model), "--backend", backend]) as worker:
        assert not is_mapped(worker.pid, str(tiny_model))
        interpreter = str(Path(sys.executable).resolve())
        assert is_mapped(worker.pid, interpreter), "the way to look finds what is there"


@pytest.mark.gpu
@pytest.mark.long
@pytest.mark.req("M0-W-1221", "M0-SYS-2.2.1", "M0-W-1222")
def test_a_worker_on_a_large_model_takes_no_more_of_the_host_than_one_on_a_tiny_model(
    tiny_model: Path, true_size: ModelPath
) -> None:
    small, large = map(private_bytes_of_worker, (tiny_model, true_size("phi-3-mini-4k-q4_k_m")))

    assert large - small < LIMIT_BYTES


def private_bytes_of_worker(path: Path) -> int:
    """Once it has answered. A start before that one leaves no kernel to compile, which takes memory, too."""
    arguments = ["--model", str(path), "--backend", "cuda"]
    with WorkerProcessHandle(arguments):
        pass
    with WorkerProcessHandle(arguments) as worker:
        worker.client.complete({"job_id": "job", "prompt": "x" * 300, "max_tokens": 4})
        return private_bytes(worker.pid)


@pytest.mark.gpu
@pytest.mark.long
@pytest.mark.req("M0-W-1221", "M0-SYS-2.2.1", "M0-W-1222")
def test_the_smallest_and_the_largest_model_leave_the_same_in_the_host(true_size: ModelPath) -> None:
    """Without their vocabularies, which differ in size and belong to the tokenizer."""
    small = left_by("cuda", str(DIRECTORY / "llama.gguf"))
    large = left_by("cuda", str(true_size("gpt-oss-20b-mxfp4")))

    assert large["private_bytes"] - small["private_bytes"] < LIMIT_BYTES
    assert (False, False) == (small["mapped"], large["mapped"])


def left_by(backend: str, path: str) -> dict[str, Any]:
    """What the program says, run a second time: with no kernel left to compile."""
    command = [sys.executable, "-m", "tests.gpu.host_memory", backend, path]
    _, printed = (
        subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout for _ in range(2)
    )
    left: dict[str, Any] = json.loads(printed)
    return left
