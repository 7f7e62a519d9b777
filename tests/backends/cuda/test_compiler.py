"""Kernels compiled for every architecture, on a machine without a GPU, and kept."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from backends.cuda.cache import default_cache_dir
from backends.cuda.compile_all import ARCHS, compile_everything, complaints
from backends.cuda.compiler import Compiler, KernelSource
from backends.cuda.cubin import Cubin
from backends.cuda.program import nvrtc_version, package_version
from domain.errors import DeviceError

pytestmark = pytest.mark.req("M0-W-1702")

SCALE = KernelSource("scale.cu", "scale<3>")
HEADER = "inline float factor(int n) { return 2.0f * n; }\n"
KERNEL = """
#include "factor.cuh"
template <int N> __global__ void scale(float* x) {
    __shared__ float tile[64];
    tile[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    x[threadIdx.x] = tile[63 - threadIdx.x] * factor(N);
}
"""
SPILLING = """
__global__ void __launch_bounds__(1024) spills(float* x) {
    float values[128];
#pragma unroll
    for (int i = 0; i < 128; i++) values[i] = x[i * 1024 + threadIdx.x];
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 128; i++) x[i * 1024 + threadIdx.x] = values[127 - i] * values[i];
}
"""

SERIALIZED = """
#include "warpgroup.cuh"
__global__ void products(float* x, unsigned long long b) {
    float d[8][4] = {};
    const unsigned a[4] = {};
    start_products();
    warpgroup_product(d, a, b, true);
    d[0][0] *= 2.0f;  // nobody has waited
    warpgroup_product(d, a, b, true);
    commit_products();
    wait_for_products<0>();
    for (int i = 0; i < 32; ++i) x[i] = d[i / 4][i % 4];
}
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "scale.cu").write_text(KERNEL)
    (tmp_path / "factor.cuh").write_text(HEADER)
    return tmp_path


def compile_scale(directory: Path, *, arch: str = "sm_90") -> tuple[Cubin, int]:
    """The kernel, by a fresh compiler, and how often that ran NVRTC."""
    compiler = Compiler(arch, directory / "cache", [directory])
    cubin = compiler.compile([SCALE])[SCALE]
    return cubin, compiler.num_compiled


def cache_entry(directory: Path) -> Path:
    (entry,) = (directory / "cache").iterdir()
    return entry


@pytest.mark.parametrize("arch", ARCHS)
def test_a_kernel_compiles_to_machine_code_for_every_architecture(directory: Path, arch: str) -> None:
    cubin = Compiler(arch, None, [directory]).compile([SCALE])[SCALE]

    assert cubin.image.startswith(b"\x7fELF")
    assert cubin.symbol.encode() in cubin.image
    assert 256 == cubin.resources.shared_bytes
    assert 0 < cubin.resources.registers < 64
    assert (0, 0) == (cubin.resources.spill_bytes, cubin.resources.stack_bytes)
    assert [] == cubin.warnings


def test_the_second_start_compiles_nothing(directory: Path) -> None:
    first, second = compile_scale(directory), compile_scale(directory)

    assert (1, 0) == (first[1], second[1])
    assert first[0] == second[0]


FROM_THE_CACHE = """
import sys
from pathlib import Path
from backends.cuda.compiler import Compiler, KernelSource
directory = Path(sys.argv[1])
Compiler("sm_90", directory / "cache", [directory]).compile([KernelSource("scale.cu", "scale<3>")])
print("libnvrtc" in Path("/proc/self/maps").read_text())
"""


def test_the_second_start_does_not_even_load_the_compiler(directory: Path) -> None:
    command = [sys.executable, "-c", FROM_THE_CACHE, str(directory)]

    loads = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2)]

    assert ["True\n", "False\n"] == loads


def test_another_version_of_the_compiler_compiles_anew(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = directory / "nvidia_cuda_nvrtc-99.1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: nvidia-cuda-nvrtc\nVersion: 99.1\n")
    compile_scale(directory)

    monkeypatch.syspath_prepend(directory)

    assert "99.1" == package_version()
    assert 1 == compile_scale(directory)[1]
    assert 0 == compile_scale(directory)[1]


def test_where_no_package_says_its_version_the_library_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])

    assert nvrtc_version() == package_version()


def test_many_kernels_at_once_are_each_their_own(directory: Path) -> None:
    sources = [KernelSource("scale.cu", f"scale<{n}>") for n in range(6)]
    compiler = Compiler("sm_90", None, [directory])
    cubins = compiler.compile([*sources, *sources])

    assert 6 == compiler.num_compiled
    assert [f"_Z5scaleILi{n}EEvPf" for n in range(6)] == [cubins[source].symbol for source in sources]


@pytest.mark.parametrize(
    ("file", "text"),
    [("factor.cuh", HEADER.replace("2.0f", "3.0f")), ("scale.cu", KERNEL.replace("63 -", "62 -"))],
)
def test_a_changed_file_compiles_again(directory: Path, file: str, text: str) -> None:
    before, _ = compile_scale(directory)
    (directory / file).write_text(text)
    after, num_compiled = compile_scale(directory)

    assert 1 == num_compiled
    assert before.image != after.image


def test_another_architecture_compiles_again(directory: Path) -> None:
    compile_scale(directory)

    assert 1 == compile_scale(directory, arch="sm_80")[1]


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "foreign"])
def test_a_damaged_entry_compiles_again_and_is_replaced(directory: Path, damage: str) -> None:
    intact, _ = compile_scale(directory)
    content = cache_entry(directory).read_bytes()
    damaged = {
        "cut": content[:-100],
        "flipped": content[:-1] + bytes([content[-1] ^ 1]),
        "empty": b"",
        "foreign": b"what is this\n",
    }
    cache_entry(directory).write_bytes(damaged[damage])

    recompiled, num_compiled = compile_scale(directory)

    assert (intact.image, 1) == (recompiled.image, num_compiled)
    assert 0 == compile_scale(directory)[1]


def test_a_cache_that_cannot_be_written_is_no_failure(directory: Path) -> None:
    (directory / "cache").write_text("a file where a directory should be")
    cubin, num_compiled = compile_scale(directory)

    assert 1 == num_compiled
    assert cubin.image.startswith(b"\x7fELF")


def test_an_entry_appears_whole_under_its_name_and_nothing_else_is_left(directory: Path) -> None:
    compile_scale(directory)
    entry = cache_entry(directory)

    assert 64 == len(entry.name)
    assert entry.stat().st_size > len(compile_scale(directory)[0].image)


def test_a_kernel_that_does_not_compile_is_named_with_the_line(directory: Path) -> None:
    (directory / "scale.cu").write_text(KERNEL.replace("factor(N)", "nothing(N)"))
    with pytest.raises(DeviceError) as failure:
        compile_scale(directory)

    assert "kernel scale<3> of scale.cu" in failure.value.message
    assert "scale.cu(7): error" in failure.value.message
    assert "nothing" in failure.value.message


def test_a_name_that_the_file_does_not_have_is_named(directory: Path) -> None:
    source = KernelSource("scale.cu", "shrink<3>")
    with pytest.raises(DeviceError, match=r"kernel shrink<3> of scale\.cu"):
        Compiler("sm_90", None, [directory]).compile([source])


def test_spilled_registers_are_reported(directory: Path) -> None:
    (directory / "spills.cu").write_text(SPILLING)
    source = KernelSource("spills.cu", "spills")
    resources = Compiler("sm_90", None, [directory]).compile([source])[source].resources

    assert resources.spill_bytes > 0
    assert resources.stack_bytes > 0


def test_a_kernel_is_reported_apart_from_others_of_its_file(directory: Path) -> None:
    (directory / "both.cu").write_text(SPILLING + KERNEL)
    source = KernelSource("both.cu", "scale<3>")
    resources = Compiler("sm_90", None, [directory]).compile([source])[source].resources

    assert (0, 256) == (resources.spill_bytes, resources.shared_bytes)


def test_a_warning_is_on_record(directory: Path) -> None:
    (directory / "factor.cuh").write_text(HEADER.replace("{", "{ int unused;"))
    (warning,) = compile_scale(directory)[0].warnings

    assert "factor.cuh(1): warning" in warning


def test_products_that_wait_for_each_other_are_a_warning(directory: Path) -> None:
    """The assembler calls it information, but they take several times as long."""
    (directory / "serial.cu").write_text(SERIALIZED)
    source = KernelSource("serial.cu", "products")
    warnings = Compiler("sm_90a", None, [directory]).compile([source])[source].warnings

    assert any("wgmma.mma_async instructions are serialized" in warning for warning in warnings)


def test_local_memory_and_warnings_are_complaints_that_name_the_kernel(directory: Path) -> None:
    (directory / "spills.cu").write_text(SPILLING)
    (directory / "factor.cuh").write_text(HEADER.replace("{", "{ int unused;"))
    sources = [SCALE, KernelSource("spills.cu", "spills")]
    cubins = compile_everything(sources, archs=["sm_80", "sm_90"], directories=[directory])
    lines = complaints(cubins)

    assert [(arch, source) for arch in ("sm_80", "sm_90") for source in sources] == list(cubins)
    assert 4 == len(lines)
    for line, arch in zip(lines, ("sm_80", "sm_80", "sm_90", "sm_90"), strict=True):
        assert arch in line
    assert "scale<3> (scale.cu, sm_80): factor.cuh(1): warning" in lines[0]
    assert lines[1].startswith("spills (spills.cu, sm_80): ")


def test_the_cache_lies_where_the_desktop_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    assert tmp_path / ".cache/worker-orcd/kernels" == default_cache_dir()
    for given, expected in ((os.fspath(tmp_path / "x"), tmp_path / "x"), ("relative", tmp_path / ".cache")):
        monkeypatch.setenv("XDG_CACHE_HOME", given)

        assert expected / "worker-orcd/kernels" == default_cache_dir()
