"""From the inference thread to the loop: never a wait, never a loss, never without bound."""

import asyncio
import threading
import time
from datetime import UTC, datetime

import pytest

from adapters_inbound.http.job_event_stream import MAX_BUFFERED_EVENTS, JobEventStream
from ports.job_events import JobEnded, JobEvent, JobStarted, StopReason, TokenText

STARTED = JobStarted("job", "model", datetime(2026, 1, 1, tzinfo=UTC), 1, "cid")
ENDED = JobEnded(1, 2048, 1, StopReason.MAX_TOKENS, 1)


class CountingLoop:
    """Counts how often the loop is woken."""

    def __init__(self) -> None:
        self.num_wakes = 0

    def call_soon_threadsafe(self, callback: object, *_: object) -> None:
        self.num_wakes += 1
        asyncio.get_running_loop().call_soon(callback)  # type: ignore[arg-type] # any callable of no arguments


async def drain(stream: JobEventStream) -> list[JobEvent]:
    events: list[JobEvent] = []
    while not events or not isinstance(events[-1], JobEnded):
        batch = await stream.take(timeout_s=5)
        assert len(batch) <= MAX_BUFFERED_EVENTS + 1
        events += batch
    return events


def tokens(events: list[JobEvent]) -> list[TokenText]:
    return [event for event in events if isinstance(event, TokenText)]


async def test_what_a_slow_reader_has_not_read_is_merged_and_nothing_is_lost() -> None:
    stream = JobEventStream(asyncio.get_running_loop())
    stream.publish(STARTED)
    for number in range(2048):
        stream.publish(TokenText(f"{number},", (number,)))
    stream.publish(ENDED)

    events = await stream.take(timeout_s=5)
    assert MAX_BUFFERED_EVENTS + 1 == len(events)
    assert (STARTED, ENDED) == (events[0], events[-1])
    assert "".join(f"{number}," for number in range(2048)) == "".join(e.text for e in tokens(events))
    assert list(range(2048)) == [each for event in tokens(events) for each in event.token_ids]


async def test_a_reader_that_keeps_up_gets_every_token_by_itself() -> None:
    stream = JobEventStream(asyncio.get_running_loop())
    for number in range(200):
        stream.publish(TokenText("x", (number,)))

        assert [TokenText("x", (number,))] == await stream.take(timeout_s=5)


async def test_many_events_wake_the_loop_once() -> None:
    loop = CountingLoop()
    stream = JobEventStream(loop)  # type: ignore[arg-type] # as much of a loop as a sink needs
    for number in range(50):
        stream.publish(TokenText("x", (number,)))

    assert 1 == loop.num_wakes
    assert 50 == len(await stream.take(timeout_s=5))
    await asyncio.sleep(0)
    await asyncio.wait_for(stream.take(timeout_s=0), 5)  # the wake-up has arrived, with nothing to tell
    stream.publish(ENDED)
    assert 2 == loop.num_wakes


async def test_what_is_there_is_taken_without_waiting_and_its_wake_up_tells_nothing() -> None:
    stream = JobEventStream(asyncio.get_running_loop())
    stream.publish(STARTED)

    with pytest.raises(StopIteration) as taken:
        stream.take(timeout_s=5).send(None)
    asyncio.get_running_loop().call_later(0.01, stream.publish, ENDED)

    assert [STARTED] == taken.value.value
    assert [ENDED] == await stream.take(timeout_s=5)


async def test_another_thread_never_waits_for_the_reader() -> None:
    stream = JobEventStream(asyncio.get_running_loop())
    elapsed_s: list[float] = []

    def produce() -> None:
        started_at = time.monotonic()
        for number in range(20_000):
            stream.publish(TokenText("x", (number,)))
        stream.publish(ENDED)
        elapsed_s.append(time.monotonic() - started_at)

    thread = threading.Thread(target=produce)
    thread.start()
    time.sleep(0.3)  # noqa: ASYNC251 - the loop is what must be stuck
    events = await drain(stream)
    thread.join()

    assert list(range(20_000)) == [each for event in tokens(events) for each in event.token_ids]
    assert elapsed_s[0] < 2


async def test_a_thread_that_races_the_reader_loses_nothing() -> None:
    stream = JobEventStream(asyncio.get_running_loop())

    def produce() -> None:
        for number in range(5_000):
            stream.publish(TokenText("x", (number,)))
        stream.publish(ENDED)

    thread = threading.Thread(target=produce)
    thread.start()
    events = await drain(stream)
    thread.join()

    assert list(range(5_000)) == [each for event in tokens(events) for each in event.token_ids]


async def test_silence_ends_the_wait_with_nothing() -> None:
    assert [] == await JobEventStream(asyncio.get_running_loop()).take(timeout_s=0.01)


async def test_a_closed_stream_lets_its_reader_go_and_forgets_what_comes() -> None:
    stream = JobEventStream(asyncio.get_running_loop())
    asyncio.get_running_loop().call_later(0.01, stream.close)

    assert [] == await stream.take(timeout_s=5)
    stream.publish(ENDED)
    assert [] == await stream.take(timeout_s=5)


def test_publishing_to_a_loop_that_is_gone_does_nothing() -> None:
    loop = asyncio.new_event_loop()
    stream = JobEventStream(loop)
    loop.close()

    stream.publish(STARTED)
    stream.publish(ENDED)
