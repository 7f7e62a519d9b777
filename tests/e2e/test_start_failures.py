"""A worker that cannot start says why, once, and leaves with the right status and nothing behind."""

import errno
import http.client
import json
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.ports import free_port

RunToExit = Callable[..., "subprocess.CompletedProcess[str]"]


def narration(finished: "subprocess.CompletedProcess[str]") -> list[dict[str, Any]]:
    return [json.loads(line) for line in finished.stdout.splitlines()]


def only_error(finished: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    (error,) = [event for event in narration(finished) if event["event"] == "error"]
    assert "ready" not in [event["event"] for event in narration(finished)]
    assert finished.stderr.count("\n") == 1
    assert finished.stderr.startswith(f"worker-orcd: {error['error_kind']}: ")
    return error


@pytest.mark.req("M0-W-1700", "M0-W-1111", "M0-SYS-2.2.1")
def test_the_default_backend_without_a_device_fails_and_never_falls_back(run_to_exit: RunToExit) -> None:
    finished = run_to_exit(backend="cuda")

    error = only_error(finished)

    assert (1, "CUDA_ERROR") == (finished.returncode, error["error_kind"])
    assert "device 0 not found" in finished.stderr
    assert "--backend fake" in finished.stderr


@pytest.mark.req("M0-W-1111")
def test_a_device_index_that_does_not_exist_is_named(run_to_exit: RunToExit) -> None:
    finished = run_to_exit(gpu_device="7")

    assert (1, "CUDA_ERROR") == (finished.returncode, only_error(finished)["error_kind"])
    assert "no device 7" in finished.stderr


@pytest.mark.req("M0-W-1210", "M0-W-1111")
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "missing.gguf"),
        (b"", "size"),
        (b"GGML" + bytes(60), "magic"),
        (b"GGUF" + struct.pack("<I", 2) + bytes(60), "version"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1, 2**60) + bytes(60), "metadata"),
    ],
    ids=["missing", "empty", "other magic", "old version", "absurd count"],
)
def test_a_file_that_is_no_model_is_refused_with_file_and_check(
    content: bytes | None, words: str, tmp_path: Path, run_to_exit: RunToExit
) -> None:
    path = tmp_path / "missing.gguf"
    if content is not None:
        path.write_bytes(content)

    finished = run_to_exit(model=str(path))
    error = only_error(finished)

    assert (1, "MODEL_LOAD_FAILED") == (finished.returncode, error["error_kind"])
    assert str(path) == error["model_path"]
    assert words in finished.stderr
    assert "Traceback" not in finished.stderr


@pytest.mark.req("M0-W-1210")
def test_a_truncated_model_is_refused(tiny_model: Path, tmp_path: Path, run_to_exit: RunToExit) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(tiny_model.read_bytes()[:-1000])

    finished = run_to_exit(model=str(cut))

    assert (1, "MODEL_LOAD_FAILED") == (finished.returncode, only_error(finished)["error_kind"])


@pytest.mark.req("M0-W-1212")
def test_an_architecture_that_is_not_supported_is_named_with_those_that_are(
    tmp_path: Path, tiny_model: Path, run_to_exit: RunToExit
) -> None:
    other = tmp_path / "other.gguf"
    other.write_bytes(tiny_model.read_bytes().replace(b"llama", b"mamba"))

    finished = run_to_exit(model=str(other))

    assert 1 == finished.returncode
    assert "mamba" in finished.stderr
    assert "qwen2" in finished.stderr


@pytest.mark.req("M0-W-1020")
def test_a_model_that_does_not_fit_is_refused_with_the_four_facts(
    tiny_model: Path, run_to_exit: RunToExit
) -> None:
    finished = run_to_exit(fake_vram_mb="256")

    error = only_error(finished)

    assert (1, "INSUFFICIENT_VRAM") == (finished.returncode, error["error_kind"])
    assert error["vram_required_bytes"] > error["vram_available_bytes"] == 0
    assert (0, str(tiny_model)) == (error["gpu_device"], error["model_path"])


@pytest.mark.req("M0-W-1100")
def test_a_port_in_use_fails_before_anything_is_loaded(run_to_exit: RunToExit) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        finished = run_to_exit(port=str(port))

    assert (1, "INVALID_REQUEST") == (finished.returncode, only_error(finished)["error_kind"])
    assert ["startup", "error"] == [event["event"] for event in narration(finished)]
    assert str(port) in finished.stderr


@pytest.mark.req("M0-W-1100", "M0-W-1111")
@pytest.mark.parametrize("options", [{"port": "80"}, {"worker_id": "me"}, {"fake_fault": "boom@1"}])
def test_a_value_that_does_not_hold_is_refused_before_anything_is_tried(
    options: dict[str, str], run_to_exit: RunToExit
) -> None:
    finished = run_to_exit(**options)

    assert (1, "INVALID_REQUEST") == (finished.returncode, only_error(finished)["error_kind"])
    assert ["error"] == [event["event"] for event in narration(finished)]
    (name,) = options
    assert f"--{name.replace('_', '-')}" in finished.stderr


def test_wrong_usage_leaves_with_status_2_and_nothing_on_standard_output(run_to_exit: RunToExit) -> None:
    finished = run_to_exit(port="http")

    assert (2, "") == (finished.returncode, finished.stdout)
    assert "--port: 'http' is not an integer" in finished.stderr


@pytest.mark.req("M0-W-1111", "SYS-6.3.4")
def test_a_refused_ready_callback_ends_the_worker_and_frees_its_port(
    run_to_exit: RunToExit, empty_folder: Path
) -> None:
    port = free_port()
    with refusing_receiver() as url:
        finished = run_to_exit(port=str(port), callback_url=url)

    assert (1, "INTERNAL") == (finished.returncode, only_error(finished)["error_kind"])
    assert "status 403" in finished.stderr
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    assert [] == list(empty_folder.iterdir())


@pytest.mark.req("M0-W-1111", "SYS-6.3.4", "M0-W-1340", "M0-W-1312")
@pytest.mark.parametrize(
    ("num_tokens", "timeout_s", "end"),
    [(60, "10", "event: end"), (400, "2", '"code":"CANCELLED"')],
    ids=["finishes", "is cancelled"],
)
def test_a_job_that_runs_when_the_callback_is_refused_has_its_end(
    run_to_exit: RunToExit, num_tokens: int, timeout_s: str, end: str
) -> None:
    port = free_port()
    request = {"job_id": "early", "prompt": "hello", "max_tokens": num_tokens, "temperature": 0}
    jobs: list[StreamedJob] = []
    with refusing_receiver(before=lambda: jobs.append(StreamedJob(port, request))) as url:
        options = {"callback_url": url, "port": str(port), "shutdown_timeout_sec": timeout_s}
        finished = run_to_exit(**options, fake_fault="slow-step@*:20")

    assert (1, "INTERNAL") == (finished.returncode, only_error(finished)["error_kind"])
    assert end in jobs[0].rest()
    assert "client_disconnect" not in [event["event"] for event in narration(finished)]


FAILURES: dict[str, tuple[str, dict[str, str]]] = {
    "bad setting": ("INVALID_REQUEST", {"kv_cache_size_mb": "-1"}),
    "no such device": ("CUDA_ERROR", {"gpu_device": "7"}),
    "no device at all": ("CUDA_ERROR", {"backend": "cuda"}),
    "no model": ("MODEL_LOAD_FAILED", {"model": "/nowhere/model.gguf"}),
    "no tokenizer": ("MODEL_LOAD_FAILED", {"tokenizer": "/nowhere/tokenizer.json"}),
    "too little memory": ("INSUFFICIENT_VRAM", {"fake_vram_mb": "256"}),
    "memory gone meanwhile": ("INSUFFICIENT_VRAM", {"fake_fault": "load-allocation-failure@5"}),
    "copy that fails half-way": ("MODEL_LOAD_FAILED", {"fake_fault": "upload-failure@10"}),
}


@pytest.mark.req("M0-W-1111", "M0-W-1110")
@pytest.mark.parametrize(("code", "options"), FAILURES.values(), ids=FAILURES)
def test_a_start_that_fails_opens_no_port_and_leaves_no_file(
    code: str, options: dict[str, str], run_to_exit: RunToExit, empty_folder: Path
) -> None:
    port = free_port()
    with watched(port) as answers:
        finished = run_to_exit(port=str(port), **options)

    assert (1, code) == (finished.returncode, only_error(finished)["error_kind"])
    assert len(answers) > 10
    assert {errno.ECONNREFUSED} == set(answers)
    assert [] == list(empty_folder.iterdir())


@pytest.mark.req("M0-W-1111", "M0-W-1110")
def test_a_start_at_a_port_that_another_holds_does_not_listen_on_it_either(
    run_to_exit: RunToExit, empty_folder: Path
) -> None:
    port = free_port()
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port))  # and does not listen, so that any answer would be the worker's
        with watched(port) as answers:
            finished = run_to_exit(port=str(port))

    assert (1, "INVALID_REQUEST") == (finished.returncode, only_error(finished)["error_kind"])
    assert {errno.ECONNREFUSED} == set(answers)
    assert [] == list(empty_folder.iterdir())


@contextmanager
def watched(port: int) -> Iterator[list[int]]:
    """Try to connect to `port` over and over; yields what each attempt has ended with so far."""
    answers: list[int] = []
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(0.002):
            with socket.socket() as client:
                answers.append(client.connect_ex(("127.0.0.1", port)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield answers
    finally:
        is_over.set()
        watcher.join()


class StreamedJob:
    """A job whose stream has begun."""

    def __init__(self, port: int, request: dict[str, object]) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port)
        body, headers = json.dumps(request), {"Content-Type": "application/json"}
        self._connection.request("POST", "/execute", body, headers)
        self._response = self._connection.getresponse()

    def rest(self) -> str:
        """All that comes, to a proper end: `IncompleteRead` where the stream is cut."""
        with closing(self._connection):
            return self._response.read().decode()


@contextmanager
def refusing_receiver(before: Callable[[], None] = lambda: None) -> Iterator[str]:
    """A pool manager that answers 403, after it has called `before`."""

    class Refusal(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            before()
            self.send_response(403)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base class's name
            pass

    with HTTPServer(("127.0.0.1", 0), Refusal) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/ready"
        server.shutdown()
        thread.join()
