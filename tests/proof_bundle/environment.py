"""The machine, the versions and the state of the sources that a bundle belongs to."""

import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench.machine import LIBRARIES, processor
from tests.proof_bundle.records import Record

ROOT = Path(__file__).resolve().parents[2]
_NO_COMMIT = "no-git"


def git_commit() -> str:
    """The commit of the sources, in full; `no-git` where they are in no repository."""
    return _output_of("git", "rev-parse", "HEAD") or _NO_COMMIT


def has_changes() -> bool:
    """Whether the sources differ from that commit."""
    return bool(_output_of("git", "--no-optional-locks", "status", "--porcelain"))


def versions() -> Record:
    """Versions of Python, the libraries, and CUDA's compiler: None where it is not installed."""
    libraries = {name: version(name) for name in LIBRARIES}
    return {"python": platform.python_version(), "cuda": _version("nvidia-cuda-nvrtc"), **libraries}


def machine() -> Record:
    """Processor, system and GPU; `gpu` is None where the driver's tool finds none."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "gpu": gpu(),
    }


def gpu() -> Record | None:
    """Name, driver and memory of the first GPU, as `nvidia-smi` says."""
    names = ("name", "driver_version", "memory.total")
    line = _output_of("nvidia-smi", f"--query-gpu={','.join(names)}", "--format=csv,noheader", "--id=0")
    return dict(zip(names, line.split(", "), strict=True)) if line else None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _output_of(*command: str) -> str:
    """What the command prints, or nothing where there is no such command or it fails."""
    if shutil.which(command[0]) is None:
        return ""
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    return result.stdout.strip() if result.returncode == 0 else ""
