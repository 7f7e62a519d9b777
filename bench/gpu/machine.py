"""The device, the driver and the versions that figures belong to."""

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path

import numpy as np

from backends.cuda.program import nvrtc_version
from backends.cuda.properties import read_properties
from bench.machine import processor

_DRIVER_VERSION = Path("/proc/driver/nvidia/version")


def describe_machine() -> dict[str, str]:
    """What to print above a table, of device 0.

    Raises:
        DeviceNotFound, InvalidDevice: there is no such device, or no compiler.
    """
    device = read_properties(0)
    major, minor = device.driver_version // 1000, device.driver_version % 1000 // 10
    return {
        "device": f"{device.name}, {device.arch}, {device.num_multiprocessors} multiprocessors, "
        f"{device.total_bytes / 1e9:.0f} GB",
        "driver": f"{_kernel_driver()}, CUDA {major}.{minor}",
        "versions": f"NVRTC {nvrtc_version()}, cuda-bindings {version('cuda-bindings')}, "
        f"Python {platform.python_version()}, numpy {np.__version__}",
        "machine": f"{processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
    }


def _kernel_driver() -> str:
    text = _DRIVER_VERSION.read_text() if _DRIVER_VERSION.exists() else ""
    found = re.search(r"\b\d{3}\.\d+(\.\d+)?\b", text)
    return found.group() if found else "version unknown"
