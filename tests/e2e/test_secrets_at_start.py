"""A start that fails tells why, on both outputs, without the secrets in its settings."""

import subprocess
from collections.abc import Callable

import pytest

RunToExit = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.req("M0-W-1902", "M0-W-1111", "NARR-3005")
@pytest.mark.parametrize("log_format", ["json", "pretty"])
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("callback_url", "ftp://manager:hunter2-of-ours@pool/ready"),
        ("model", "/nowhere/password=hunter2-of-ours/model.gguf"),
    ],
)
def test_neither_output_of_a_failed_start_holds_the_secret(
    option: str, value: str, log_format: str, run_to_exit: RunToExit
) -> None:
    failed = run_to_exit(log_format=log_format, **{option: value})

    assert 1 == failed.returncode
    assert "[redacted:" in failed.stderr
    assert "hunter2" not in failed.stdout + failed.stderr
