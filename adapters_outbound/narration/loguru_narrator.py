"""Narration through loguru: flat JSON lines for machines, short lines for people."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec
from loguru import logger

from adapters_outbound.narration.safe_text import ascii_name, safe_text
from ports.clock import Clock
from ports.narrator import Level

if TYPE_CHECKING:
    from loguru import Record

ACTOR = "worker-orcd"

_MAX_HUMAN_CHARS = 100

_LOGURU_LEVELS = {
    Level.TRACE: "TRACE",
    Level.DEBUG: "DEBUG",
    Level.INFO: "INFO",
    Level.WARN: "WARNING",
    Level.ERROR: "ERROR",
    Level.FATAL: "CRITICAL",
}


class LoguruNarrator:
    """Adds to every event who speaks, about what, and when (NARR-1001, NARR-7001 to 7005).

    Every text of an event passes `safe_text`. An emitter and a time that the event brings are kept.

    Args:
        clock: for the time stamps.
        version: of this package.
        identity: fields of every event: `worker_id`, `model_ref`, `gpu_device`.
    """

    def __init__(self, clock: Clock, *, version: str, identity: Mapping[str, object]) -> None:
        self._clock = clock
        self._emitter = f"{ACTOR}@{version}"
        self._identity = {name: _safe(value) for name, value in identity.items()}

    def narrate(self, event: str, human: str, *, level: Level = Level.INFO, **fields: object) -> None:
        now = self._clock.utc_now()
        facts = {name: _safe(value) for name, value in fields.items() if value is not None}
        action = ascii_name(event)
        narration = {
            "timestamp": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": level.name,
            "component": ACTOR,
            "event": action,
            **self._identity,
            "actor": ACTOR,
            "action": action,
            "target": facts.get("job_id") or self._identity.get("model_ref", ACTOR),
            "human": safe_text(human)[:_MAX_HUMAN_CHARS],
            "emitted_by": self._emitter,
            "emitted_at_ms": round(now.timestamp() * 1000),
            **facts,
        }
        logger.bind(narration=narration).log(_LOGURU_LEVELS[level], "")


def format_json(record: "Record") -> str:
    """One event as one line of JSON."""
    return _line(record, msgspec.json.encode(record["extra"]["narration"]).decode())


def format_pretty(record: "Record") -> str:
    """One event as one line for people."""
    narration: dict[str, object] = record["extra"]["narration"]
    clock_time = str(narration["timestamp"])[11:23]
    line = f"{clock_time} {narration['level']:<5} {narration['event']:<20} {narration['human']}"
    detail = narration.get("error_message")
    return _line(record, f"{line}: {detail}" if detail else line)


def _line(record: "Record", line: str) -> str:
    # loguru formats what a formatter returns, so the text itself must not be part of it
    record["extra"]["line"] = line
    return "{extra[line]}\n"


def _safe(value: object) -> object:
    match value:
        case str():
            return safe_text(value)
        case Mapping():
            return {safe_text(str(name)): _safe(each) for name, each in value.items()}
        case list() | tuple():
            return [_safe(each) for each in value]
        case _:
            return value
