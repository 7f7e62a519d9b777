"""`worker-orcd demo`: whatever ends it, it takes its worker along, and says in a line what was wrong."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.launcher import Narration, WorkerProcessHandle
from app.main import main
from tests.support.tiny_gguf import write_tiny_gguf

TIMEOUT_S = 60


@pytest.fixture
def demo() -> Iterator["subprocess.Popen[str]"]:
    """A demo that has just begun to start its worker."""
    command = [sys.executable, "-m", "app", "demo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any("model_load_start" in line for line in iter(process.stdout.readline, ""))
        yield process
        process.kill()


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_reader_that_leaves_ends_demo_and_worker_in_silence(demo: "subprocess.Popen[str]") -> None:
    (worker,) = children(demo.pid)
    assert demo.stdout is not None
    demo.stdout.close()

    assert 128 + signal.SIGPIPE == demo.wait(TIMEOUT_S)
    assert demo.stderr is not None
    assert ("", False) == (demo.stderr.read(), is_alive(worker))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_demo_ends_its_worker_too(number: int, demo: "subprocess.Popen[str]") -> None:
    (worker,) = children(demo.pid)

    demo.send_signal(number)
    _, errors = demo.communicate(timeout=TIMEOUT_S)

    assert (128 + number, "", False) == (demo.returncode, errors, is_alive(worker))


@pytest.mark.parametrize(
    ("prompt", "words"),
    [("", "prompt has 0 characters"), ("rain " * 600, "the worker takes 1 to 511")],
)
def test_a_prompt_that_is_refused_is_told_with_the_reason(
    prompt: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 1 == main(["demo", "--prompt", prompt])
    errors = capsys.readouterr().err

    assert errors.startswith("worker-orcd demo: 400 INVALID_REQUEST: 1 field is invalid; ")
    assert (1, True) == (errors.count("\n"), words in errors)


def test_a_prompt_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["demo", "--prompt", "[/green] :smile:"])
    assert "'[/green] :smile:'" in capsys.readouterr().out


def test_what_a_listener_raises_comes_out_of_the_worker_it_listened_to(tmp_path: Path) -> None:
    def listen(narration: Narration) -> None:
        if narration["event"] == "shutdown":
            raise ValueError("enough")

    model = write_tiny_gguf(tmp_path / "tiny.gguf")
    handle = WorkerProcessHandle(["--model", str(model), "--backend", "fake"], on_narration=listen)

    with pytest.raises(ValueError, match="enough"), handle:
        pass

    assert handle.returncode is not None
