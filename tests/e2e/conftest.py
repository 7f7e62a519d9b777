"""A real worker process, on a tiny random model, as fixtures."""

import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.launcher import WorkerProcessHandle
from tests.proof_bundle.recorded_worker import recorded_worker
from tests.proof_bundle.records import ProofRecorder
from tests.support.tiny_gguf import write_tiny_gguf

Start = Callable[..., WorkerProcessHandle]
RunToExit = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("model") / "tiny.gguf")


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the workers of the test work, and would keep temporary files if they had any."""
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.fixture
def command(tiny_model: Path) -> list[str]:
    """The command line of a worker on the tiny model, complete."""
    options = {"model": tiny_model, "worker-id": uuid.uuid4(), "gpu-device": 0, "port": 0, "backend": "fake"}
    return [sys.executable, "-m", "app", *(f"--{name}={value}" for name, value in options.items())]


@pytest.fixture
def start(tiny_model: Path, proof: ProofRecorder) -> Iterator[Start]:
    """Start a worker with these extra arguments; it is stopped when the test ends."""
    with ExitStack() as running:

        def start_worker(*arguments: str, model: Path = tiny_model) -> WorkerProcessHandle:
            defaults = ["--model", str(model), "--backend", "fake", "--fake-vram-mb", "512"]
            return running.enter_context(recorded_worker(proof, [*defaults, *arguments]))

        yield start_worker


@pytest.fixture(scope="module")
def worker(tiny_model: Path, proof: ProofRecorder) -> Iterator[WorkerProcessHandle]:
    """One healthy worker that the tests of a module share."""
    with recorded_worker(proof, ["--model", str(tiny_model), "--backend", "fake"]) as handle:
        yield handle


@pytest.fixture
def run_to_exit(command: list[str]) -> RunToExit:
    """Run the command until it leaves by itself; options given replace the defaults."""

    def run(**options: str) -> "subprocess.CompletedProcess[str]":
        given = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        return subprocess.run([*command, *given], capture_output=True, text=True, timeout=60, check=False)

    return run
