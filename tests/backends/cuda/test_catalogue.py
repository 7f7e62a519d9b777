"""Every kernel for every architecture, where there is no GPU: `make kernels` runs this file alone."""

import re
from importlib.resources import files

import pytest

from tests.backends.cuda.compiled import DEVICE_TESTS, DEVICES, complaints_about
from tests.backends.cuda.shares import (
    TWINS,
    kernels_of_reference_models,
    share_of_reference_models,
    some_other_kernels,
)

pytestmark = pytest.mark.req("M0-W-1201", "M0-W-1421", "M0-W-1430", "M0-W-1435", "M0-W-1702")

LOOKS_AT_THE_ARCHITECTURE = re.compile(r"^.*__CUDA_ARCH.*$", re.MULTILINE)
SAME_FOR_THE_TWINS = re.compile(r"#if __CUDA_ARCH__ >= (900|1\d00)|#ifdef __CUDA_ARCH_FEAT_SM90_ALL")


@pytest.mark.parametrize("arch", DEVICES)
def test_the_kernels_of_every_reference_model_stay_in_registers(arch: str) -> None:
    found = complaints_about(share_of_reference_models(arch), arch=arch)

    assert not found, found


@pytest.mark.parametrize("arch", DEVICES)
def test_those_of_every_other_type_and_size_do_on_one_architecture_each(arch: str) -> None:
    found = complaints_about(some_other_kernels(arch), arch=arch)

    assert not found, found


def test_the_shares_of_the_twins_are_all_of_their_kernels_once() -> None:
    first, second = (share_of_reference_models(twin) for twin in TWINS)

    assert not first & second
    assert first | second == kernels_of_reference_models(TWINS[0]) | kernels_of_reference_models(TWINS[1])
    assert 0.4 < len(first) / len(first | second) < 0.6


def test_no_kernel_tells_the_twins_apart() -> None:
    """One that does must be compiled for both."""
    kernels = [path for path in files("backends.cuda.kernels").iterdir() if ".cu" in path.name]
    texts = [path.read_text(encoding="utf-8") for path in (*kernels, *DEVICE_TESTS.glob("*.cu"))]
    lines = [line for text in texts for line in LOOKS_AT_THE_ARCHITECTURE.findall(text)]

    assert len(lines) > 5
    assert [] == [line for line in lines if not SAME_FOR_THE_TWINS.fullmatch(line)]
