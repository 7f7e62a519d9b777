"""Narration: one event a line, all fields, nothing that could break out of the line."""

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from loguru import logger

from adapters_outbound.narration.loguru_narrator import LoguruNarrator, format_json, format_pretty
from adapters_outbound.narration.safe_text import safe_text
from adapters_outbound.narration.sinks import configure_narration
from ports.narrator import Level
from tests.support.doubles import VirtualClock
from tests.support.full_pipe import FullPipe

TIMEOUT_S = 20.0
IDENTITY = {"worker_id": "w", "model_ref": "file:/m.gguf", "gpu_device": 0}


@pytest.fixture
def lines() -> Iterator[list[str]]:
    captured: list[str] = []
    logger.remove()
    handler = logger.add(captured.append, format=format_json, level="TRACE")
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


@pytest.mark.req("M0-W-1900", "SYS-10.2.1", "SYS-10.2.2")
@pytest.mark.req("NARR-1001", "NARR-6001", "NARR-6002", "NARR-7001", "NARR-7002")
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


@pytest.mark.req("NARR-7003", "NARR-7004", "NARR-7005")
def test_an_emitter_and_a_time_that_the_event_brings_are_kept(
    lines: list[str], narrator: LoguruNarrator
) -> None:
    narrator.narrate("error", "relayed", emitted_by="other@3", emitted_at_ms=7)

    event = only(lines)

    assert ("other@3", 7) == (event["emitted_by"], event["emitted_at_ms"])


@pytest.mark.req("NARR-1004", "NARR-1005")
def test_no_line_carries_decoration(lines: list[str], narrator: LoguruNarrator) -> None:
    # `cute` and `story` are optional and off by default; this worker has no way to turn them on.
    narrator.narrate("execute_end", "finished a job", job_id="j")

    assert not {"cute", "story"} & only(lines).keys()


@pytest.mark.req("NARR-4005")
def test_actor_and_action_are_ascii(lines: list[str], narrator: LoguruNarrator) -> None:
    narrator.narrate("\u0435rror\u200b_\U0001f600\n", "x")

    event = only(lines)

    assert ("worker-orcd", "rror_", "rror_") == (event["actor"], event["action"], event["event"])


@pytest.mark.req("M0-W-1902", "NARR-3001", "NARR-3002", "NARR-3003", "NARR-3004", "NARR-3005")
@pytest.mark.parametrize(
    "secret",
    [
        "Bearer 0123456789abcdef",
        "sk-proj-4f8B1cD2eF3aG4hI5jK6",
        "sk-proj-4f8B1cD2eF3aG4hI5jK6\u200blM7nO8pQ9",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "-----BEGIN PRIVATE KEY-----\nMIIEpAIBAAKCAQEA5d7f\n4hGmCq0fZbq1Qvw==\n-----END PRIVATE KEY-----",
        "https://user:hunter2@host",
    ],
)
def test_no_text_of_a_line_holds_a_secret(
    secret: str, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    text = f"it said:\n{secret}\nand left"
    narrator = LoguruNarrator(VirtualClock(), version="1", identity={"model_ref": text})
    logger.add(sys.stderr, format=format_pretty)
    narrator.narrate("error", text, error_message=text, stack=[text], facts={"at": (text,)})

    told = lines[0] + capsys.readouterr().err

    assert 8 == told.count("[redacted:"), (
        "model_ref, target, human, three facts, and for people human and message"
    )
    for piece in re.findall(r"[A-Za-z0-9]{6,}", secret.removeprefix("Bearer").replace("PRIVATE", "")):
        assert piece not in told


@pytest.mark.req("NARR-4002", "NARR-4003", "NARR-4004")
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

    assert event["error_message"] == safe_text(text) == event["human"]
    assert event["error_message"].isprintable()


def test_braces_and_markup_in_text_are_just_text(lines: list[str], narrator: LoguruNarrator) -> None:
    narrator.narrate("error", "<red>{x}</red> {0} \\<b>")

    assert "<red>{x}</red> {0} \\<b>" == only(lines)["human"]


@pytest.mark.req("NARR-1006")
def test_the_sentence_for_people_is_at_most_100_characters(
    lines: list[str], narrator: LoguruNarrator
) -> None:
    narrator.narrate("error", "x" * 300)

    assert 100 == len(only(lines)["human"])


def test_levels_are_the_specs_own(lines: list[str], narrator: LoguruNarrator) -> None:
    for level in Level:
        narrator.narrate("error", "x", level=level)

    assert ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"] == [
        json.loads(line)["level"] for line in lines
    ]


@pytest.mark.parametrize(
    ("level", "expected"), [("TRACE", 6), ("DEBUG", 5), ("WARN", 3), ("FATAL", 1), ("MUTE", 0)]
)
def test_the_least_level_is_honoured(
    level: str, expected: int, narrator: LoguruNarrator, capfd: pytest.CaptureFixture[str]
) -> None:
    writer = configure_narration(level, "json", narrator)
    for each in Level:
        narrator.narrate("error", "x", level=each)
    logger.remove()
    writer.close(TIMEOUT_S)

    assert expected == len(capfd.readouterr().out.splitlines())


def test_the_form_for_people_goes_to_standard_error_alone(
    narrator: LoguruNarrator, capfd: pytest.CaptureFixture[str]
) -> None:
    writer = configure_narration("INFO", "pretty", narrator)
    narrator.narrate("error", "cannot start", error_message="no device")
    logger.remove()
    writer.close(TIMEOUT_S)

    captured = capfd.readouterr()

    assert "" == captured.out
    assert "00:16:40.000 INFO  error                cannot start: no device\n" == captured.err


def test_a_reader_that_did_not_read_is_told_by_an_event_how_much_it_missed(
    narrator: LoguruNarrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FullPipe() as pipe, open(pipe.ours, "w", closefd=False) as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        writer = configure_narration("INFO", "json", narrator)
        for number in range(25_000):
            narrator.narrate("execute_start", "x", number=number)
        text = pipe.read_all(writer)
        logger.remove()

    events = [json.loads(line) for line in text.splitlines()]
    numbers = [event["number"] for event in events if event["event"] == "execute_start"]
    (lost,) = [event for event in events if event["event"] == "narration_lost"]

    assert list(range(len(numbers))) == numbers
    assert (25_000 - len(numbers), "WARN", "w") == (lost["num_lines"], lost["level"], lost["worker_id"])
