"""Narration: one event a line, all fields, nothing that could break out of the line."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from loguru import logger

from adapters_outbound.narration.clean_text import clean_text
from adapters_outbound.narration.loguru_narrator import LoguruNarrator, format_json
from adapters_outbound.narration.sinks import configure_narration
from ports.narrator import Level
from tests.support.doubles import VirtualClock

IDENTITY = {"worker_id": "w", "model_ref": "file:/m.gguf", "gpu_device": 0}


@pytest.fixture
def lines() -> Iterator[list[str]]:
    captured: list[str] = []
    logger.remove()
    handler = logger.add(captured.append, format=format_json, level="DEBUG")
    yield captured
    logger.remove(handler)


@pytest.fixture
def narrator() -> LoguruNarrator:
    return LoguruNarrator(VirtualClock(), version="1.2", identity=IDENTITY)


def only(lines: list[str]) -> dict[str, Any]:
    (line,) = lines
    assert line.endswith("\n")
    assert 1 == len(line.splitlines())
    event: dict[str, Any] = json.loads(line)
    return event


@pytest.mark.req("M0-W-1900", "NARR-1001", "NARR-7001")
def test_an_event_says_who_what_when(lines: list[str], narrator: LoguruNarrator) -> None:
    narrator.narrate(
        "execute_end", "finished a job", job_id="j", correlation_id="c", tokens_out=3, absent=None
    )

    expected = {
        "timestamp": "2026-01-01T00:16:40.000Z",
        "level": "INFO",
        "component": "worker-orcd",
        "event": "execute_end",
        **IDENTITY,
        "actor": "worker-orcd",
        "action": "execute_end",
        "target": "j",
        "human": "finished a job",
        "job_id": "j",
        "correlation_id": "c",
        "tokens_out": 3,
        "emitted_by": "worker-orcd@1.2",
        "emitted_at_ms": 1767226600000,
    }

    assert expected == only(lines)


@pytest.mark.req("NARR-4002", "NARR-4005")
@pytest.mark.parametrize(
    "text",
    [
        'a\n{"event":"forged"}',
        "a\r\tb",
        "\x1b[2Jx",
        "zero\u200bwidth",
        "\u202eright-to-left",
        "a\u2028b",
        "a\ud800b",
    ],
)
def test_text_cannot_break_out_of_its_line_or_hide(
    text: str, lines: list[str], narrator: LoguruNarrator
) -> None:
    narrator.narrate("error", text, error_message=text)

    event = only(lines)

    assert event["error_message"] == clean_text(text) == event["human"]
    assert event["error_message"].isprintable()


def test_braces_and_markup_in_text_are_just_text(lines: list[str], narrator: LoguruNarrator) -> None:
    narrator.narrate("error", "<red>{x}</red> {0} \\<b>")

    assert "<red>{x}</red> {0} \\<b>" == only(lines)["human"]


def test_the_sentence_for_people_is_at_most_100_characters(
    lines: list[str], narrator: LoguruNarrator
) -> None:
    narrator.narrate("error", "x" * 300)

    assert 100 == len(only(lines)["human"])


def test_levels_are_the_specs_own(lines: list[str], narrator: LoguruNarrator) -> None:
    for level in Level:
        narrator.narrate("error", "x", level=level)

    assert ["DEBUG", "INFO", "WARN", "ERROR", "FATAL"] == [json.loads(line)["level"] for line in lines]


@pytest.mark.parametrize(("level", "expected"), [("DEBUG", 5), ("WARN", 3), ("FATAL", 1), ("MUTE", 0)])
def test_the_least_level_is_honoured(
    level: str, expected: int, narrator: LoguruNarrator, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_narration(level, "json")
    for each in Level:
        narrator.narrate("error", "x", level=each)
    logger.remove()

    assert expected == len(capsys.readouterr().out.splitlines())


def test_the_form_for_people_goes_to_standard_error_alone(
    narrator: LoguruNarrator, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_narration("INFO", "pretty")
    narrator.narrate("error", "cannot start", error_message="no device")
    logger.remove()

    captured = capsys.readouterr()

    assert "" == captured.out
    assert "00:16:40.000 INFO  error                cannot start: no device\n" == captured.err
