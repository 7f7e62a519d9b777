"""What `worker-orcd --version --verbose` says of devices, on a machine that has none."""

import os
import subprocess
import sys

import pytest

from backends.cuda.properties import DeviceProperties
from backends.cuda.versions import describe_device

H200 = DeviceProperties(
    ordinal=0,
    name="NVIDIA H200",
    total_bytes=141 * 2**30,
    compute_capability=(9, 0),
    num_multiprocessors=132,
    max_shared_bytes=232_448,
    driver_version=13000,
)


def test_a_device_is_told_with_the_choices_made_for_it() -> None:
    assert describe_device(H200) == (
        "NVIDIA H200, compute capability 9.0, 141.0 GiB, 132 multiprocessors, driver of CUDA 13.0; "
        "uses cp.async, wgmma, dependent-launch"
    )


@pytest.mark.req("M0-W-1700")
@pytest.mark.parametrize("flags", [["--version", "--verbose"], ["--verbose", "--version"]])
def test_without_a_device_there_is_a_line_that_says_why(flags: list[str]) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "app", *flags],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
    )
    lines = finished.stdout.splitlines()

    assert lines[0].startswith("worker-orcd ")
    assert f"Python {sys.version.split()[0]}," in lines[1]
    assert any(line.startswith("  litestar 2.") for line in lines)
    assert any(line.startswith("NVRTC 13.") for line in lines)
    assert lines[-1].startswith("no device: ")
    assert "" == finished.stderr


@pytest.mark.req("M0-W-1700")
def test_without_the_packages_there_is_a_line_that_says_so() -> None:
    program = (
        "import sys; sys.modules['cuda'] = None\n"
        "from app.main import main; sys.exit(main(['--version', '--verbose']))"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    compiler, device = finished.stdout.splitlines()[-2:]
    assert compiler.startswith("no NVRTC: ")
    assert device.startswith("no device: ")
    assert "pip install 'worker-orcd[cuda]'" in device
