"""kill -9: nothing of the worker is left, and the next one starts where it stood."""

import http.client
import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from app.launcher import WorkerProcessHandle
from tests.support.ports import free_port

Start = Callable[..., WorkerProcessHandle]

JOB = {"job_id": "job", "prompt": "hello", "max_tokens": 400, "temperature": 0}


@contextmanager
def running_job(worker: WorkerProcessHandle) -> Iterator[http.client.HTTPResponse]:
    """A running job's response, read up to its first token. Unlike our client it says when it is cut off."""
    connection = http.client.HTTPConnection(worker.base_url.removeprefix("http://"))
    connection.request("POST", "/execute", json.dumps(JOB), {"Content-Type": "application/json"})
    with closing(connection), connection.getresponse() as response:
        while not response.readline().startswith(b"event: token"):
            pass
        yield response


@pytest.mark.req("M0-SYS-6.3.1", "M0-W-1340")
def test_a_killed_worker_breaks_its_stream_and_leaves_its_port_to_the_next(
    start: Start, empty_folder: Path
) -> None:
    port = str(free_port())
    killed = start("--port", port, "--fake-fault", "slow-step@*:10")
    with running_job(killed) as response:
        os.killpg(killed.pid, 0)  # it leads a group of its own
        killed.signal(signal.SIGKILL)
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            response.read()
        successor = start("--port", port)

    assert -signal.SIGKILL == killed.wait()
    with pytest.raises(ProcessLookupError):
        os.killpg(killed.pid, 0)
    assert "end" == list(successor.client.execute({**JOB, "max_tokens": 4}))[-1].name
    assert 0 == successor.stop()
    assert [] == list(empty_folder.iterdir())


@pytest.mark.req("M0-SYS-6.3.2", "SYS-2.4.1", "SYS-2.4.2")
def test_workers_share_nothing_one_is_killed_and_the_other_goes_on(start: Start) -> None:
    killed, other = start(), start("--fake-fault", "slow-step@*:5")
    stream = other.client.execute({**JOB, "max_tokens": 60})
    next(event for event in stream if event.name == "token")
    baseline = other.client.health()["vram_bytes_used"]
    killed.signal(signal.SIGKILL)
    killed.wait()

    assert killed.pid != other.pid
    assert os.getpid() not in (killed.pid, other.pid)
    assert "end" == list(stream)[-1].name
    assert baseline == other.client.health()["vram_bytes_used"]
