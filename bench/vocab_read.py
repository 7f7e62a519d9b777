"""How long a real vocabulary of 152,000 tokens takes to open.

    python -m bench.vocab_read [--with-gguf-package]

The file is ggml-vocab-qwen2.gguf, from $WORKER_ORCD_TEST_DATA/vocab (default: ../shared/data).
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import gguf

from adapters_outbound.gguf.opener import GgufModelFileOpener

_ROOT = Path(__file__).resolve().parent.parent
_NUM_RUNS = 5


def measure(*, with_gguf_package: bool = False) -> dict[str, float]:
    """Open the vocabulary, warm, and take the best of some runs.

    Returns:
        Seconds by reader: "worker-orcd", and on request "gguf package".

    Raises:
        FileNotFoundError: the vocabulary is not there.
    """
    path = _vocabulary()
    seconds = {
        "worker-orcd": _best_s(lambda: GgufModelFileOpener().open_vocabulary(str(path)).close(), _NUM_RUNS)
    }
    if with_gguf_package:  # ten seconds a run
        seconds["gguf package"] = _best_s(lambda: gguf.GGUFReader(path), 1)
    return seconds


def _vocabulary() -> Path:
    data = Path(os.environ.get("WORKER_ORCD_TEST_DATA", _ROOT.parent / "shared" / "data"))
    path = data / "vocab" / "ggml-vocab-qwen2.gguf"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there; set WORKER_ORCD_TEST_DATA")
    return path


def _best_s(run: Callable[[], object], num_runs: int) -> float:
    best_s = float("inf")
    for _ in range(num_runs):
        start = time.perf_counter()
        run()
        best_s = min(best_s, time.perf_counter() - start)
    return best_s


if __name__ == "__main__":
    for reader, best_s in measure(with_gguf_package="--with-gguf-package" in sys.argv[1:]).items():
        print(f"{reader:14} {best_s:8.3f} s")
