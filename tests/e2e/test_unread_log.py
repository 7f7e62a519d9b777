"""Nobody reads what the worker narrates: it serves all the same, and leaves in time."""

import http.client
import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from tests.support.full_pipe import FullPipe
from tests.support.ports import free_port

TIMEOUT_S = 20.0


@contextmanager
def answer(port: int, method: str, path: str, body: str | None = None) -> Iterator[http.client.HTTPResponse]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)) as connection:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        yield connection.getresponse()


def until_it_serves(port: int) -> None:
    deadline_s = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline_s:
        try:
            with answer(port, "GET", "/health"):
                return
        except ConnectionRefusedError:
            time.sleep(0.02)
    raise AssertionError("it does not serve")


@contextmanager
def unread(command: list[str], *options: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker of whose output and errors nobody reads a byte."""
    with (
        FullPipe() as pipe,
        subprocess.Popen([*command, *options], stdout=pipe.ours, stderr=pipe.ours) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.req("M0-W-1320", "M0-W-1340", "M0-W-1630", "M0-W-1900")
@pytest.mark.parametrize("log_format", ["json", "pretty"])
def test_a_log_that_nobody_reads_stops_neither_a_job_nor_the_end(command: list[str], log_format: str) -> None:
    port = free_port()
    options = ["--port", str(port), "--log-format", log_format, "--shutdown-timeout-sec", "2"]
    with unread(command, *options) as worker:
        until_it_serves(port)
        with answer(port, "POST", "/execute", json.dumps({"job_id": "j", "prompt": "hi"})) as stream:
            assert b"event: end" in stream.read()
        worker.send_signal(signal.SIGTERM)
        asked_at_s = time.monotonic()

        assert 0 == worker.wait(TIMEOUT_S)
        assert time.monotonic() - asked_at_s < 2.5


@pytest.mark.req("M0-W-1111")
@pytest.mark.parametrize("log_format", ["json", "pretty"])
@pytest.mark.parametrize("option", ["--worker-id=me", "--gpu-device=7"])
def test_a_start_that_fails_ends_though_nobody_reads_why(
    command: list[str], log_format: str, option: str
) -> None:
    with unread(command, "--log-format", log_format, option) as worker:
        assert 1 == worker.wait(TIMEOUT_S)
