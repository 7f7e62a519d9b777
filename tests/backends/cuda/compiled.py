"""Kernels compiled by a test where there is no GPU, and kept: a second run compiles what has changed."""

from collections.abc import Iterable
from pathlib import Path

from backends.cuda.compile_all import compile_everything, complaints
from backends.cuda.compiler import KernelSource

CACHE_DIR = Path(__file__).parents[3] / "build" / "kernels"
DEVICE_TESTS = Path(__file__).parents[2] / "kernels"  # their own kernels lie there

# Of a card of each architecture, with its multiprocessors: how work is cut depends on how many there are.
DEVICES = {
    "sm_80": 108,  # A100
    "sm_86": 84,  # RTX 3090 Ti, RTX A6000
    "sm_89": 128,  # RTX 4090
    "sm_90a": 132,  # H100, H200
    "sm_100": 148,  # B200
    "sm_120": 170,  # RTX 5090
}


def complaints_about(sources: Iterable[KernelSource], *, arch: str) -> str:
    """A line for each warning, spill and use of local memory; empty is good."""
    cubins = compile_everything(sources, archs=[arch], cache_dir=CACHE_DIR, directories=[DEVICE_TESTS])
    return "\n".join(complaints(cubins))
