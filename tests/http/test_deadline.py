"""X-Deadline is read, reported and not enforced."""

from datetime import UTC, datetime

import pytest

from adapters_inbound.http.deadline import remaining_ms
from ports.narrator import Level
from tests.http.service import Service

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
NOW_MS = round(NOW.timestamp() * 1000)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-01-01T12:00:05Z", 5000),
        ("2026-01-01T12:00:05.250Z", 5250),
        ("2026-01-01T13:00:05+01:00", 5000),
        ("2026-01-01T11:59:59Z", -1000),
        (str(NOW_MS + 1500), 1500),
        (str(NOW_MS - 1500), -1500),
        ("1500", 1500),
        ("0", 0),
        ("-5", -5),
        (str(10**11 - 1), 10**11 - 1),
        (str(10**11), 10**11 - NOW_MS),
    ],
)
def test_a_deadline_is_a_moment_or_a_duration(value: str, expected: int) -> None:
    assert expected == remaining_ms(value, now=NOW)


@pytest.mark.parametrize(
    "value",
    ["", "soon", "2026-01-01T12:00:05", "2026-13-01T00:00:00Z", "1.5", "1e3", "9" * 16, "٣", "99999-01-01"],
)
def test_anything_else_is_none(value: str) -> None:
    with pytest.raises(ValueError):
        remaining_ms(value, now=NOW)


async def test_what_remains_is_in_the_narration_of_the_start() -> None:
    async with Service() as service, await service.connect() as client:
        await client.execute(max_tokens=1, headers={"x-deadline": "1500"})
        await client.all_events()

        (start,) = service.narrator.named("execute_start")
        assert 1500 == start["deadline_remaining_ms"]


async def test_a_deadline_already_past_is_not_enforced() -> None:
    async with Service() as service, await service.connect() as client:
        await client.execute(max_tokens=1, headers={"x-deadline": "-1500"})

        assert "end" == (await client.all_events())[-1].name


@pytest.mark.parametrize("value", ["soon", "", "\xe9", "9" * 1000, "2026-01-01"])
async def test_one_that_cannot_be_read_is_warned_of_once_and_ignored(value: str) -> None:
    async with Service() as service, await service.connect() as client:
        body = b'{"job_id":"j","prompt":"hi","max_tokens":1}'
        head = f"POST /execute HTTP/1.1\r\nhost: w\r\ncontent-length: {len(body)}\r\n"
        head += f"content-type: application/json\r\nx-deadline: {value}\r\n\r\n"
        client.send(head.encode("latin-1") + body)
        status, _ = await client.head()
        await client.all_events()

        warnings = [event for event in service.narrator.events if event["level"] is Level.WARN]
        assert (200, 1) == (status, len(warnings))
        assert "deadline_remaining_ms" not in warnings[0]
