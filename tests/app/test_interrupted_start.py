"""Ctrl-C while the libraries are still imported ends the process as it does later."""

import subprocess
import sys

import pytest

from app import command
from app.main import main

ARGUMENTS = ["--worker-id", "5a7c6e0a-a9d8-4f73-8d7b-e05e934c3fb1", "--model", "/m.gguf", "--gpu-device", "0"]


@pytest.mark.req("M0-W-1111")
def test_ctrl_c_before_the_worker_listens_is_a_normal_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_settings: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "_run", interrupted)

    assert 0 == main([*ARGUMENTS, "--port", "9001"])
    assert ("", "") == capsys.readouterr()


def test_ctrl_c_while_the_first_modules_are_imported_is_one_too() -> None:
    program = """
import sys

class Interrupted:
    def find_spec(self, name, *_):
        if name == "app.settings":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupted())
from app.main import main
sys.exit(main(["--port", "9001"]))
"""
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (0, "", "") == (finished.returncode, finished.stdout, finished.stderr)
