"""The machine and the versions a measurement belongs to, and the physical limit it is held against."""

import os
import platform
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

_BYTES = 256 * 2**20  # well beyond any cache
LIBRARIES = ("worker-orcd", "numpy", "tokenizers", "litestar", "uvicorn", "uvloop", "msgspec")


def describe() -> str:
    """One line each: processor, system, versions."""
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return (
        f"machine: {processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}\n"
        f"versions: Python {platform.python_version()}, {versions}"
    )


def read_bandwidth_bytes_per_s() -> float:
    """How fast one thread reads memory that is in no cache: the best of five sums."""
    array = np.ones(_BYTES // 8)
    best_s = float("inf")
    for _ in range(5):
        start_s = time.perf_counter()
        array.sum()
        best_s = min(best_s, time.perf_counter() - start_s)
    return _BYTES / best_s


def processor() -> str:
    """The processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
