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
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from adapters_inbound.cli.options import OptionValue
from app.container import Container
from app.process import WorkerProcess
from app.settings import Settings, merge, validate
from backends.fake.backend import FakeBackend, FakeDevice
from tests.support.doubles import RecordingNarrator
from tests.support.tiny_gguf import TOKENS, write_tiny_gguf


class WatchedBackend(FakeBackend):
    """Remembers the device it opened, and how much of its memory was taken at most."""

    def open_device(self, device_id: int) -> FakeDevice:
        self.device = super().open_device(device_id)
        return self.device

    @property
    def taken_bytes(self) -> int:
        info = self.device.info()
        return info.total_bytes - info.free_bytes


def settings_with(folder: Path, **options: OptionValue) -> Settings:
    given: dict[str, OptionValue] = {
        "worker_id": "0b0c7a30-0000-4000-8000-000000000000",
        "model": str(write_tiny_gguf(folder / "tiny.gguf")),
        "gpu_device": 0,
        "port": 0,
        "backend": "fake",
    }
    values, _ = merge({**given, **options}, {})
    return validate(values)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_with(tmp_path)


def write_tokenizer_json(path: Path, tokens: list[str]) -> str:
    """A byte-level tokenizer whose last two tokens are BOS and EOS."""
    tokenizer = Tokenizer(BPE({token: i for i, token in enumerate(tokens[:-2])}, []))
    tokenizer.pre_tokenizer, tokenizer.decoder = ByteLevel(add_prefix_space=False), ByteLevelDecoder()
    tokenizer.add_special_tokens(tokens[-2:])
    tokenizer.save(str(path))
    return str(path)


def run(
    settings: Settings, backend: WatchedBackend, on_event: Callable[[str], None] = lambda _: None
) -> tuple[int, RecordingNarrator]:
    """Run a worker process in this one until it fails or is ready; `on_event` hears of every narration."""

    class Narrator(RecordingNarrator):
        def narrate(self, event: str, human: str, **fields: Any) -> None:
            super().narrate(event, human, **fields)
            on_event(event)
            if event == "ready":
                threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()

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


@pytest.mark.req("M0-W-1360", "M0-W-1364")
def test_a_tokenizer_json_is_used_and_the_choice_is_told(tmp_path: Path) -> None:
    path = write_tokenizer_json(tmp_path / "tokenizer.json", TOKENS)

    status, narrator = run(settings_with(tmp_path, tokenizer=path), WatchedBackend(2**30))
    (start,) = narrator.named("model_load_start")

    assert (0, "hf-json", "--tokenizer names it") == (
        status,
        start["tokenizer_kind"],
        start["tokenizer_reason"],
    )


@pytest.mark.req("M0-W-1360")
def test_a_tokenizer_with_ids_that_the_model_does_not_have_is_refused(tmp_path: Path) -> None:
    path = write_tokenizer_json(tmp_path / "tokenizer.json", [*TOKENS[:-2], "more", *TOKENS[-2:]])
    backend = WatchedBackend(2**30)

    status, narrator = run(settings_with(tmp_path, tokenizer=path), backend)
    (error,) = narrator.named("error")

    assert (1, "MODEL_LOAD_FAILED") == (status, error["error_kind"])
    assert path in error["error_message"]
    assert 0 == backend.taken_bytes
