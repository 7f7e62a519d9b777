"""Doubles of the small ports."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from ports.job_events import JobEvent, TerminalEvent
from ports.metrics import JobFigures, WorkerGauges
from ports.narrator import Level
from ports.tokenizer import TokenizerKind


class VirtualClock:
    """Time that moves when the test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic_s(self) -> float:
        return self.now_s

    def utc_now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.now_s)

    def advance(self, seconds: float) -> None:
        self.now_s += seconds


class CountingEntropy:
    """Seeds 1, 2, 3, ..."""

    def __init__(self) -> None:
        self._last = 0

    def seed(self) -> int:
        self._last += 1
        return self._last


class RecordingNarrator:
    """Keeps what is narrated."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def narrate(self, event: str, human: str, *, level: Level = Level.INFO, **fields: object) -> None:
        self.events.append({"event": event, "human": human, "level": level, **fields})

    def names(self) -> list[str]:
        return [event["event"] for event in self.events]

    def named(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == name]


class RecordingMetrics:
    """Keeps the figures it is given."""

    def __init__(self) -> None:
        self.jobs: list[JobFigures] = []

    def job_ended(self, figures: JobFigures) -> None:
        self.jobs.append(figures)

    def started(self, *, startup_s: float, model_load_s: float) -> None:
        pass

    def watch(self, gauges: Callable[[], WorkerGauges]) -> None:
        pass

    def render(self) -> tuple[bytes, str]:
        return b"", "text/plain"


class RecordingSink:
    """Keeps what a job publishes."""

    def __init__(self) -> None:
        self.events: list[JobEvent] = []

    def publish(self, event: JobEvent) -> None:
        self.events.append(event)

    def terminals(self) -> list[JobEvent]:
        return [event for event in self.events if isinstance(event, TerminalEvent)]


class ByteTokenizer:
    """Ids 0 to 255 are bytes, 256 is BOS, 257 is EOS, 258 another end of turn, 259 to 299 padding."""

    bos_token_id = 256
    eos_token_id = 257
    eog_token_ids = frozenset({257, 258})
    vocab_size = 300
    adds_bos = False

    @property
    def kind(self) -> TokenizerKind:
        return "gguf-bpe"

    def encode(self, text: str, *, add_bos: bool, parse_special: bool) -> list[int]:
        ids = [self.bos_token_id] if add_bos else []
        if parse_special:
            text = text.replace("<|eos|>", "\x01").replace("<|bos|>", "\x02")
        markup = {1: self.eos_token_id, 2: self.bos_token_id}
        return ids + [markup.get(byte, byte) for byte in text.encode()]

    def decode_bytes(self, token_id: int) -> bytes:
        return bytes([token_id]) if token_id < 256 else b""
