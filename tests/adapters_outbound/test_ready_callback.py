"""The ready callback against a real HTTP receiver."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import chain, repeat
from typing import Any

import pytest

from adapters_outbound.ready_callback import HttpReadyNotifier
from domain.errors import CallbackFailed
from ports.ready_notifier import ReadyNotice
from tests.support.doubles import RecordingNarrator

NOTICE = ReadyNotice("w-1", "file:/m.gguf", 1234, "http://127.0.0.1:9000")


class Receiver:
    """Answers with the given statuses in turn and keeps what it was sent."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.requests: list[tuple[dict[str, str], dict[str, Any]]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.append((dict(self.headers.items()), json.loads(body)))
                self.send_response(receiver.statuses.pop(0))
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base class's name
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/ready"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class FixedIds:
    def correlation_id(self) -> str:
        return "cid-1"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


async def notify(
    url: str, notice: ReadyNotice = NOTICE, *, attempt_timeout_s: float = 20.0
) -> tuple[list[float], RecordingNarrator]:
    """Notify once; returns the pauses taken between tries."""
    pauses: list[float] = []
    narrator = RecordingNarrator()

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    notifier = HttpReadyNotifier(
        url, ids=FixedIds(), narrator=narrator, sleep=sleep, attempt_timeout_s=attempt_timeout_s
    )
    try:
        await notifier.notify(notice)
    except CallbackFailed as error:
        error.add_note(repr(pauses))
        raise
    return pauses, narrator


@pytest.mark.req("SYS-5.3.1", "SYS-6.3.4", "SYS-5.7.3", "SYS-6.3.8", "SYS-2.1.3")
async def test_the_pool_manager_is_told_everything_once(receiver: Receiver) -> None:
    receiver.statuses = [204]

    pauses, narrator = await notify(receiver.url)

    ((headers, body),) = receiver.requests
    assert [] == pauses
    assert "cid-1" == {name.lower(): value for name, value in headers.items()}["x-correlation-id"]
    assert {
        "worker_id": "w-1",
        "model_ref": "file:/m.gguf",
        "vram_bytes": 1234,
        "memory_bytes": 1234,
        "memory_architecture": "vram-only",
        "uri": "http://127.0.0.1:9000",
        "worker_type": "bespoke-cuda",
        "capabilities": ["text-gen"],
        "protocol": "sse",
    } == body
    assert ["ready_callback"] == narrator.names()


@pytest.mark.req("SYS-5.3.1")
@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "[0::0]"])  # noqa: S104 told, not bound
async def test_a_worker_that_listens_everywhere_says_where_the_pool_manager_finds_it(
    host: str, receiver: Receiver
) -> None:
    receiver.statuses = [200]

    await notify(receiver.url, replace(NOTICE, uri=f"http://{host}:9000"))

    ((_, body),) = receiver.requests
    assert "http://127.0.0.1:9000" == body["uri"]


async def test_a_pool_manager_to_whom_there_is_no_way_is_tried_four_times() -> None:
    everywhere = replace(NOTICE, uri="http://0.0.0.0:9000")  # IPv4 alone

    with pytest.raises(CallbackFailed, match="after 4 attempts: gaierror"):
        await notify("http://[::1]:1/ready", everywhere)


async def test_a_receiver_in_trouble_is_tried_again_with_growing_pauses(receiver: Receiver) -> None:
    receiver.statuses = [500, 429, 503, 200]

    pauses, narrator = await notify(receiver.url)

    assert [1.0, 2.0, 4.0] == pauses
    assert [1, 2, 3, 4] == [event["attempt"] for event in narrator.events]


async def test_the_fourth_failure_is_the_last(receiver: Receiver) -> None:
    receiver.statuses = [500, 500, 500, 500]

    with pytest.raises(CallbackFailed, match="after 4 attempts: status 500"):
        await notify(receiver.url)

    assert 4 == len(receiver.requests)


@pytest.mark.parametrize("status", [400, 404, 302])
async def test_a_refusal_or_a_redirect_is_final(status: int, receiver: Receiver) -> None:
    receiver.statuses = [status]

    with pytest.raises(CallbackFailed, match=f"after 1 attempts: status {status}"):
        await notify(receiver.url)


async def test_nobody_listening_is_tried_four_times() -> None:
    with pytest.raises(CallbackFailed, match=r"after 4 attempts: ConnectError: .+; look at") as failure:
        await notify("http://user:secret@127.0.0.1:1/ready?token=secret")

    assert "at http://127.0.0.1:1 could" in failure.value.message
    assert "secret" not in failure.value.message


@contextmanager
def receiver_that_says(*pieces: bytes, pause_s: float = 0.0) -> Iterator[str]:
    """A receiver that answers with these pieces, the last one over and over, a pause after each."""

    def answer() -> None:
        with suppress(OSError):  # the end of the test
            while True:
                connection, _ = server.accept()
                with connection, suppress(OSError):  # the notifier has heard enough
                    connection.recv(65536)
                    for piece in chain(pieces, repeat(pieces[-1])):
                        connection.sendall(piece)
                        time.sleep(pause_s)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/ready"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.req("SYS-5.3.1", "SYS-6.3.4")
async def test_a_receiver_that_never_comes_to_its_status_is_given_up() -> None:
    with (
        receiver_that_says(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", pause_s=0.01) as url,
        pytest.raises(CallbackFailed, match=r"after 4 attempts: no answer in 0\.1 s"),
    ):
        await notify(url, attempt_timeout_s=0.1)


@pytest.mark.req("SYS-5.3.1")
@pytest.mark.parametrize(
    "headers",
    [b"Content-Length: 1000000000000", b"Content-Length: 9\r\nContent-Encoding: gzip"],
    ids=["endless", "undecodable"],
)
async def test_a_status_is_all_that_counts_of_an_answer(headers: bytes) -> None:
    with receiver_that_says(b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n\r\n", b"not gzip!") as url:
        pauses, narrator = await notify(url)

    assert [] == pauses
    assert 1 == len(narrator.events)
    assert narrator.events[0]["human"].startswith("told the pool manager at http://127.0.0.1:")
