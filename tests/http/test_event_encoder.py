"""Framing: whatever the text, one event stays one event."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters_inbound.http.event_encoder import EventEncoder
from ports.job_events import JobEnded, JobEvent, JobFailed, JobStarted, StopReason, TokenText
from tests.http.client import parse_event

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@pytest.mark.req("M0-W-1310")
@example(text="\r\n\n\u2028\u2029\u0085\v\f\x1c", token_ids=[])
@given(text=ANY_TEXT, token_ids=st.lists(st.integers(0, 2**31)))
def test_any_text_is_exactly_one_event(text: str, token_ids: list[int]) -> None:
    message = EventEncoder().encode(TokenText(text, tuple(token_ids)))

    event = parse_event(message)
    assert ("token", {"t": text, "i": 0, "ids": token_ids}) == (event.name, event.data)
    # Three lines also for a client that splits at every Unicode line end.
    assert 3 == len(message.decode().splitlines())


@example(text="\r\n\n\u2028\u2029\u0085\v\f\x1c")
@given(text=ANY_TEXT)
def test_no_field_of_any_event_breaks_the_frame(text: str) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 600_000, tzinfo=UTC)
    events: list[JobEvent] = [
        JobStarted(text, text, moment, 1, text),
        JobEnded(1, 1, 1, StopReason.STOP_SEQUENCE, 1, stop_sequence_matched=text),
        JobFailed(text, text, False, text),
    ]

    for event in events:
        assert 3 == len(EventEncoder().encode(event).decode().splitlines())


def test_text_outside_of_ascii_is_not_escaped() -> None:
    message = EventEncoder().encode(TokenText("é😀", (1,)))

    assert "event: token\ndata: " + '{"t":"é😀","i":0,"ids":[1]}\n\n' == message.decode()


def test_started_tells_the_time_in_rfc_3339_and_keeps_a_64_bit_seed() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 600_000, tzinfo=UTC)
    event = parse_event(EventEncoder().encode(JobStarted("j", "m", moment, 2**64 - 1, "c")))

    assert "2026-01-02T03:04:05.600000Z" == event.data["started_at"]
    assert 2**64 - 1 == event.data["seed"]


@pytest.mark.req("M0-W-1311")
def test_tokens_are_numbered_without_gaps() -> None:
    encoder = EventEncoder()
    messages = [encoder.encode(TokenText("x", ())) for _ in range(5)]

    assert [0, 1, 2, 3, 4] == [json.loads(message.split(b"data: ")[1])["i"] for message in messages]


def test_the_end_names_neither_a_stop_nor_ids_that_there_are_not() -> None:
    event = parse_event(EventEncoder().encode(JobEnded(3, 2, 10, StopReason.EOS, 5)))

    expected = {"tokens_in": 3, "tokens_out": 2, "decode_time_ms": 10, "stop_reason": "EOS", "seed": 5}
    assert expected == event.data
