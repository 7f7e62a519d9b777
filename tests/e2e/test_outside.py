"""What of a worker can be reached from outside, and what it is told by name."""

import json
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from app.launcher import WorkerProcessHandle

Start = Callable[..., WorkerProcessHandle]
RunToExit = Callable[..., "subprocess.CompletedProcess[str]"]
LISTENING = "0A"


def listening_addresses(pid: int) -> list[str]:
    """Where the process listens: address and port of TCP sockets, paths of Unix ones, as Linux says."""
    links = [path.readlink() for path in Path(f"/proc/{pid}/fd").iterdir()]
    inodes = {
        str(link).removeprefix("socket:[").removesuffix("]") for link in links if "socket:" in str(link)
    }
    tcp = (line.split() for table in ("tcp", "tcp6") for line in table_of(pid, table))
    unix = (line.split() for line in table_of(pid, "unix"))
    return [row[1] for row in tcp if row[3] == LISTENING and row[9] in inodes] + [
        row[-1] for row in unix if row[3] == "00010000" and row[6] in inodes
    ]


def table_of(pid: int, name: str) -> list[str]:
    path = Path(f"/proc/{pid}/net/{name}")
    return path.read_text(encoding="ascii", errors="replace").splitlines()[1:] if path.exists() else []


@pytest.mark.req("SYS-4.3.1", "SYS-4.3.2")
def test_the_one_way_in_is_http_on_loopback(start: Start) -> None:
    worker = start()
    port = int(worker.base_url.rpartition(":")[2])

    loopback = socket.inet_aton("127.0.0.1")[::-1].hex().upper()
    assert [f"{loopback}:{port:04X}"] == listening_addresses(worker.pid)


@pytest.mark.req("SYS-2.1.3")
def test_the_reference_it_is_given_is_in_every_event_and_resolves_nothing(start: Start) -> None:
    worker = start("--model-ref", "hf:someone/some-model@main")
    list(worker.client.execute({"job_id": "job", "prompt": "hi", "max_tokens": 1}))
    worker.stop()

    assert {"hf:someone/some-model@main"} == {event["model_ref"] for event in worker.narration}


@pytest.mark.req("SYS-2.1.3")
@pytest.mark.parametrize("alias", ["hf:someone/some-model", "some-model", "https://example.org/model.gguf"])
def test_anything_but_a_path_is_refused_and_not_looked_up(alias: str, run_to_exit: RunToExit) -> None:
    process = run_to_exit(model=alias)
    events = [json.loads(line) for line in process.stdout.splitlines()]

    assert 1 == process.returncode
    assert ["INVALID_REQUEST"] == [event["error_kind"] for event in events if event["event"] == "error"]
