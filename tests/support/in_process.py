"""A whole worker process, run inside the test's own."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop
from dependency_injector import providers

from adapters_inbound.cli.options import OptionValue
from app.container import Container
from app.process import WorkerProcess
from app.settings import Settings, merge, validate
from ports.compute_backend import ComputeBackend
from tests.support.doubles import RecordingNarrator
from tests.support.tiny_gguf import write_tiny_gguf


def settings_with(folder: Path, **options: OptionValue) -> Settings:
    """Those of a worker on a tiny model in `folder`."""
    given: dict[str, OptionValue] = {
        "worker_id": "0b0c7a30-0000-4000-8000-000000000000",
        "model": str(write_tiny_gguf(folder / "tiny.gguf")),
        "gpu_device": 0,
        "port": 0,
        "backend": "fake",
    }
    values, names, _ = merge({**given, **options}, {})
    return validate(values, names)


def run(
    settings: Settings,
    backend: ComputeBackend,
    on_event: Callable[[str], None] = lambda _: None,
    *,
    when_ready: Callable[[str], None] = lambda _: None,
) -> tuple[int, RecordingNarrator]:
    """Run a worker until it fails, or is stopped because it was ready.

    Args:
        settings: of the worker.
        backend: instead of the one that the settings name.
        on_event: hears of every narration.
        when_ready: called with the worker's address, in a thread, before the worker is stopped.
    """

    class Narrator(RecordingNarrator):
        def narrate(self, event: str, human: str, **fields: Any) -> None:
            super().narrate(event, human, **fields)
            on_event(event)
            if event == "ready":
                threading.Thread(target=use, args=(fields["uri"],)).start()

    def use(uri: str) -> None:
        try:
            when_ready(uri)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    narrator = Narrator()
    container = Container(settings=settings, identity={})
    container.backend.override(providers.Object(backend))
    container.narrator.override(providers.Object(narrator))
    return uvloop.run(WorkerProcess(container).run()), narrator
