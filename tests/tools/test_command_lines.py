"""What the tools say to who asks for help, and where they cannot work."""

import os
import subprocess
import sys

import pytest


def run(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
    )


@pytest.mark.parametrize("tool", ["tools.metrics_lint", "tools.haiku.tokenizer", "bench.gpu.kernel_times"])
def test_help_is_help(tool: str) -> None:
    finished = run(tool, "--help")

    assert (0, "") == (finished.returncode, finished.stderr)
    assert finished.stdout.startswith(f"usage: python -m {tool} ")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["tools.haiku.evaluate", "--url", "http://127.0.0.1:1", "--num-prompts", "1"], "Connection refused"),
        (["tools.haiku.perplexity", "/nowhere.gguf"], "/nowhere.gguf"),
        (["bench.gpu.kernel_times", "/nowhere.gguf"], "no GPU to measure"),
    ],
)
def test_a_tool_that_cannot_work_says_why_in_a_line(words: list[str], reason: str) -> None:
    finished = run(*words)

    assert (1, 1) == (finished.returncode, finished.stderr.count("\n"))
    assert reason in finished.stderr
