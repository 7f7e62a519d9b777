"""What a serving worker does not import: each of these costs its start more than it is worth."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from app.container import Container
from tests.support.in_process import settings_with
from tests.support.tiny_gguf import write_tiny_gguf

# A worker in a process of its own that ends itself as soon as it is ready, and says what it had imported.
SERVE = """
import gc, json, os, signal, sys
from app import main

seen = {}

def load_start(self, *args, **kwargs):
    seen["collects_while_loading"] = gc.isenabled()

def ready(self, *args, **kwargs):
    seen.update(collects=gc.isenabled(), num_frozen=gc.get_freeze_count(), modules=sorted(sys.modules))
    print(json.dumps(seen), file=sys.stderr)
    os.kill(os.getpid(), signal.SIGTERM)

from app.process_story import ProcessStory
ProcessStory.load_start, ProcessStory.ready = load_start, ready
sys.exit(main.main(sys.argv[1:]))
"""
# for a terminal, for a callback, for subcommands, for traces, for tests
NEVER = [
    "rich",
    "httpx",
    "app.demo",
    "app.client",
    "argcomplete",
    "opentelemetry.sdk",
    "pytest",
    "faker",
]
CUDA_ONLY = ["cuda", "backends.cuda"]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    model = write_tiny_gguf(tmp_path_factory.mktemp("model") / "tiny.gguf")
    options = {
        "model": model,
        "worker-id": "0b0c7a30-0000-4000-8000-000000000000",
        "gpu-device": 0,
        "port": 0,
        "backend": "fake",
    }
    command = [sys.executable, "-c", SERVE, *(f"--{name}={value}" for name, value in options.items())]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(finished.stderr)
    return told


@pytest.fixture(scope="module")
def modules(seen: dict[str, Any]) -> set[str]:
    return set(seen["modules"])


@pytest.mark.req("M0-W-1110")
@pytest.mark.parametrize("module", NEVER)
def test_a_serving_worker_has_not_imported(module: str, modules: set[str]) -> None:
    assert "litestar" in modules, "the way to look finds what is there"
    assert module not in modules


@pytest.mark.req("M0-W-1110", "M0-W-1700")
@pytest.mark.parametrize("module", CUDA_ONLY)
def test_the_stand_in_serves_without_the_other_backend(module: str, modules: set[str]) -> None:
    assert module not in modules


@pytest.mark.req("M0-W-1110")
def test_garbage_is_collected_once_the_model_is_loaded_and_what_the_start_made_is_left_alone(
    seen: dict[str, Any],
) -> None:
    assert not seen["collects_while_loading"]
    assert seen["collects"]
    assert seen["num_frozen"] > 10_000


@pytest.mark.req("M0-W-1110")
def test_a_container_imports_no_backend_before_one_is_chosen() -> None:
    program = (
        "import sys, app.command, app.container; print([name for name in sys.modules if name in sys.argv])"
    )
    names = ["backends.fake.backend", "backends.cuda.backend", "cuda", "gguf", "httpx", "litestar", "rich"]

    finished = subprocess.run(
        [sys.executable, "-c", program, *names], capture_output=True, text=True, check=True
    )

    assert "[]\n" == finished.stdout


@pytest.mark.req("M0-W-1110")
@pytest.mark.parametrize("backend", ["cuda", "fake"])
def test_what_a_device_brings_along_can_be_imported_before_it_is_open(tmp_path: Path, backend: str) -> None:
    container = Container(settings=settings_with(tmp_path, backend=backend))

    for module in container.device_modules():
        import_module(module)

    assert ("cuda" == backend) == ("backends.cuda.device" in container.device_modules())


@pytest.mark.req("M0-W-1110")
@pytest.mark.parametrize("imported", ["app.process", "backends.cuda.backend"])
def test_large_libraries_are_imported_while_the_device_opens_and_not_before(imported: str) -> None:
    program = f"import sys, {imported}; print([name for name in sys.argv if name in sys.modules])"
    names = ["litestar", "uvicorn", "prometheus_client", "numpy", "tokenizers"]

    finished = subprocess.run(
        [sys.executable, "-c", program, *names], capture_output=True, text=True, check=True
    )

    assert "[]\n" == finished.stdout
