"""What asks for the end of the process."""

import asyncio
import os
import signal

import pytest

from app.stop_signals import StopSignals


async def test_only_the_second_signal_ends_the_process_and_not_before_the_log_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    happened: list[str] = []
    monkeypatch.setattr(os, "_exit", lambda status: happened.append(f"exit {status}"))
    loop = asyncio.get_running_loop()
    signals = StopSignals(
        loop, on_request=lambda: happened.append("asked"), on_abort=lambda: happened.append("last lines")
    )
    try:
        async with asyncio.timeout(20):
            os.kill(os.getpid(), signal.SIGTERM)
            await signals.wait()
            os.kill(os.getpid(), signal.SIGTERM)
            while len(happened) < 3:  # noqa: ASYNC110 a signal handler offers no event
                await asyncio.sleep(0.001)
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)

    assert ["asked", "last lines", f"exit {128 + signal.SIGTERM}"] == happened
