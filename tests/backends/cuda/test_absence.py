"""A machine without the packages, the driver or the device says so, and says what to do (M0-W-1700)."""

import subprocess
import sys

import pytest

from backends.cuda.properties import DeviceProperties, check_age
from domain.errors import DeviceNotFound

pytestmark = pytest.mark.req("M0-W-1700")

# The libraries are looked for once per process, so each of these is one of its own.
WITHOUT_PACKAGES = """
import pkgutil, sys
sys.modules["cuda"] = None
import backends.cuda
for module in pkgutil.iter_modules(backends.cuda.__path__):
    __import__(f"backends.cuda.{module.name}")
"""
OPEN = """
from backends.cuda.context import Context
from domain.errors import DeviceNotFound
try:
    Context.open(0)
except DeviceNotFound as error:
    print(error.message)
"""
COMPILE = """
from backends.cuda.compiler import Compiler, KernelSource
from domain.errors import DeviceNotFound
try:
    Compiler("sm_90", None).compile([KernelSource("log_prob.cu", "log_prob")])
except DeviceNotFound as error:
    print(error.message)
"""
WITHOUT_COMPILER_LIBRARY = """
from cuda.bindings import nvrtc
def missing(*_):
    raise RuntimeError("Failed to dlopen libnvrtc.so.13")
nvrtc.nvrtcVersion = nvrtc.nvrtcCreateProgram = missing
"""
# Where there is a driver after all, it finds no device.
WITHOUT_DEVICE = """
import os
os.environ["CUDA_VISIBLE_DEVICES"] = ""
"""


def output_of(program: str) -> str:
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return finished.stdout


@pytest.mark.parametrize("use", [OPEN, COMPILE])
def test_without_the_packages_everything_imports_and_the_first_use_names_them(use: str) -> None:
    message = output_of(WITHOUT_PACKAGES + use)

    assert "pip install 'worker-orcd[cuda]'" in message
    assert "--backend fake" in message


def test_without_the_compilers_library_the_first_kernel_to_compile_says_so() -> None:
    assert "libnvrtc.so.13) is not installed" in output_of(WITHOUT_COMPILER_LIBRARY + COMPILE)


def test_without_a_driver_or_a_visible_device_the_message_says_what_is_missing() -> None:
    message = output_of(WITHOUT_DEVICE + OPEN)

    assert "no NVIDIA driver" in message or "there is no NVIDIA GPU" in message


@pytest.mark.parametrize(
    ("driver_version", "capability", "reason"),
    [
        (12040, (9, 0), r"knows CUDA 12\.4; 13\.0 is needed"),
        (13000, (7, 5), r"has compute capability 7\.5; 8\.0 is needed"),
    ],
)
def test_a_driver_or_device_that_is_too_old_is_refused(
    driver_version: int, capability: tuple[int, int], reason: str
) -> None:
    properties = properties_with(driver_version=driver_version, capability=capability)
    with pytest.raises(DeviceNotFound, match=reason):
        check_age(properties)


@pytest.mark.parametrize(
    ("capability", "arch", "features"),
    [
        ((8, 0), "sm_80", ("cp.async", "mma.sync")),
        ((8, 9), "sm_89", ("cp.async", "mma.sync")),
        ((9, 0), "sm_90a", ("cp.async", "wgmma", "dependent-launch")),
        ((12, 0), "sm_120", ("cp.async", "mma.sync", "dependent-launch")),
    ],
)
def test_newer_ones_are_taken(capability: tuple[int, int], arch: str, features: tuple[str, ...]) -> None:
    properties = properties_with(driver_version=13000, capability=capability)
    check_age(properties)

    assert (arch, features) == (properties.arch, properties.features.choices)


def properties_with(*, driver_version: int, capability: tuple[int, int]) -> DeviceProperties:
    return DeviceProperties(
        ordinal=0,
        name="a device",
        total_bytes=24 * 2**30,
        compute_capability=capability,
        num_multiprocessors=100,
        max_shared_bytes=101_376,
        driver_version=driver_version,
    )
