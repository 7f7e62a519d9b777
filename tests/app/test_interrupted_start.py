"""Ctrl-C while the libraries are still imported ends the process as it does later."""

import pytest

from app import main as entry

ARGUMENTS = ["--worker-id", "5a7c6e0a-a9d8-4f73-8d7b-e05e934c3fb1", "--model", "/m.gguf", "--gpu-device", "0"]


@pytest.mark.req("M0-W-1111")
def test_ctrl_c_before_the_worker_listens_is_a_normal_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_settings: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(entry, "_run", interrupted)

    assert 0 == entry.main([*ARGUMENTS, "--port", "9001"])
    assert ("", "") == capsys.readouterr()
