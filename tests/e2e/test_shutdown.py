"""POST /shutdown to a real worker process: it does what SIGTERM does, and says why it left."""

import http.client
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Generator

import pytest

from app.client import ServerEvent, WorkerRefused
from app.launcher import WorkerProcessHandle
from tests.support.ports import free_port

Start = Callable[..., WorkerProcessHandle]
Stream = Generator[ServerEvent, None, None]


def shut_down(address: str, correlation_id: str = "cid") -> int:
    connection = http.client.HTTPConnection(address.removeprefix("http://"))
    connection.request("POST", "/shutdown", headers={"X-Correlation-Id": correlation_id})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status


def stream_from_first_token(worker: WorkerProcessHandle, *, max_tokens: int) -> Stream:
    request = {"job_id": "long", "prompt": "hello", "max_tokens": max_tokens, "temperature": 0}
    stream = worker.client.execute(request)
    next(event for event in stream if event.name == "token")
    return stream


@pytest.mark.req("M0-W-1340", "M0-W-1630", "SYS-6.3.5")
def test_the_running_job_finishes_new_ones_are_refused_and_the_cause_is_told(start: Start) -> None:
    worker = start("--fake-fault", "slow-step@*:10")
    stream = stream_from_first_token(worker, max_tokens=60)

    assert [202, 202] == [shut_down(worker.base_url, "first"), shut_down(worker.base_url, "second")]
    with pytest.raises(WorkerRefused, match="503 SHUTTING_DOWN"):
        next(worker.client.execute({"job_id": "new", "prompt": "hello"}))
    assert "draining" == worker.client.health()["state"]
    assert "end" == list(stream)[-1].name
    assert 0 == worker.wait()
    worker.stop()  # then all that it told has been read
    (farewell,) = worker.events("shutdown")
    assert ("POST /shutdown", "first") == (farewell["reason"], farewell["correlation_id"])
    assert [] == [event for event in worker.narration if event["level"] == "ERROR"]


@pytest.mark.req("M0-W-1340", "M0-W-1630")
def test_a_job_that_does_not_finish_in_time_is_cancelled(start: Start) -> None:
    worker = start("--fake-fault", "slow-step@*:20", "--shutdown-timeout-sec", "0.5")
    stream = stream_from_first_token(worker, max_tokens=400)
    asked_at_s = time.monotonic()
    shut_down(worker.base_url)

    assert "CANCELLED" == list(stream)[-1].data["code"]
    assert 0 == worker.wait()
    assert time.monotonic() - asked_at_s < 2.0


@pytest.mark.req("M0-W-1340", "M0-W-1630", "M0-W-1312")
def test_a_step_that_hangs_keeps_neither_the_worker_nor_the_end_of_its_stream(start: Start) -> None:
    worker = start("--fake-fault", "slow-step@2:60000", "--shutdown-timeout-sec", "2")
    stream = stream_from_first_token(worker, max_tokens=400)
    asked_at_s = time.monotonic()
    worker.signal(signal.SIGTERM)
    events = list(stream)
    status = worker.wait()
    left_after_s = time.monotonic() - asked_at_s
    worker.stop()  # then all that it told has been read

    assert ("CANCELLED", False) == (events[-1].data["code"], events[-1].data["retriable"])
    assert ["cancelled"] == [event["outcome"] for event in worker.events("execute_end")]
    assert 0 == status
    assert left_after_s < 2.5


@pytest.mark.req("M0-W-1340")
def test_an_idle_worker_answers_first_and_then_leaves(start: Start) -> None:
    worker = start()

    assert 202 == shut_down(worker.base_url)
    assert 0 == worker.wait()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(worker.base_url.rsplit(":", 1)[1])))


@pytest.mark.req("M0-W-1340")
def test_a_request_while_the_pool_manager_is_not_answering_ends_the_worker(command: list[str]) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/ready"
        options = ["--callback-url", url, "--port", str(port)]
        with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as process:
            caller, _ = silent.accept()
            assert 202 == shut_down(f"127.0.0.1:{port}")
            out, _ = process.communicate(timeout=20)
            caller.close()

    assert 0 == process.returncode
    assert '"reason":"POST /shutdown"' in out.splitlines()[-1]
    assert '"event":"ready"' not in out


@pytest.mark.req("M0-W-1340")
def test_a_signal_after_a_request_repeats_it_and_only_the_second_signal_ends_at_once(start: Start) -> None:
    worker = start("--fake-fault", "slow-step@*:20", "--shutdown-timeout-sec", "30")
    stream = stream_from_first_token(worker, max_tokens=400)
    shut_down(worker.base_url)
    worker.signal(signal.SIGTERM)
    tokens = [next(stream).name for _ in range(10)]

    assert ["token"] * 10 == tokens
    assert 202 == shut_down(worker.base_url)

    worker.signal(signal.SIGTERM)

    assert 128 + signal.SIGTERM == worker.wait(5)
    stream.close()
