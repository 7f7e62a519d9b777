"""What the process gives back, seen from inside: everything, whatever happens."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
from dependency_injector import providers

from adapters_inbound.cli.options import OptionValue
from app.container import Container
from app.process import WorkerProcess
from app.settings import Settings, merge, validate
from backends.fake.backend import FakeBackend, FakeDevice
from tests.support.doubles import RecordingNarrator
from tests.support.tiny_gguf import write_tiny_gguf


class WatchedBackend(FakeBackend):
    """Remembers the device it opened, and how much of its memory was taken at most."""

    def open_device(self, device_id: int) -> FakeDevice:
        self.device = super().open_device(device_id)
        return self.device

    @property
    def taken_bytes(self) -> int:
        info = self.device.info()
        return info.total_bytes - info.free_bytes


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    given: dict[str, OptionValue] = {
        "worker_id": "0b0c7a30-0000-4000-8000-000000000000",
        "model": str(write_tiny_gguf(tmp_path / "tiny.gguf")),
        "gpu_device": 0,
        "port": 0,
        "backend": "fake",
    }
    values, _ = merge(given, {})
    return validate(values)


def run(
    settings: Settings, backend: WatchedBackend, on_event: Callable[[str], None] = lambda _: None
) -> tuple[int, RecordingNarrator]:
    """Run a worker process in this one; `on_event` hears of every narration."""

    class Narrator(RecordingNarrator):
        def narrate(self, event: str, human: str, **fields: Any) -> None:
            super().narrate(event, human, **fields)
            on_event(event)

    narrator = Narrator()
    container = Container(settings=settings, identity={})
    container.backend.override(providers.Object(backend))
    container.narrator.override(providers.Object(narrator))
    return uvloop.run(WorkerProcess(container).run()), narrator


@pytest.mark.req("M0-W-1340", "M0-SYS-6.3.1")
def test_a_worker_that_leaves_has_freed_its_device_before_it_says_so(settings: Settings) -> None:
    backend = WatchedBackend(2**30)
    taken: dict[str, int] = {}

    def on_event(event: str) -> None:
        if event in ("ready", "shutdown"):
            taken[event] = backend.taken_bytes
        if event == "ready":
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()

    status, _ = run(settings, backend, on_event)

    assert 0 == status
    assert taken["ready"] > 0 == taken["shutdown"]


@pytest.mark.req("M0-W-1111")
def test_a_load_that_fails_gives_the_device_back(settings: Settings) -> None:
    backend = WatchedBackend(2**20)

    status, narrator = run(settings, backend)

    assert (1, ["INSUFFICIENT_VRAM"]) == (status, [e["error_kind"] for e in narrator.named("error")])
    assert 0 == backend.taken_bytes
    assert backend.device.is_closed
