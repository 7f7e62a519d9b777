"""The kernel that measures the read bandwidth, compiled without a GPU."""

from importlib.resources import files

import pytest

from backends.cuda.compiler import Compiler
from bench.gpu.limits import READ


@pytest.mark.parametrize("arch", ["sm_80", "sm_86", "sm_89", "sm_90a", "sm_100", "sm_120"])
def test_it_keeps_all_its_loads_in_registers(arch: str) -> None:
    cubin = Compiler(arch, None, [files("bench.gpu")]).compile([READ])[READ]

    assert [] == cubin.warnings
    assert (0, 0) == (cubin.resources.stack_bytes, cubin.resources.spill_bytes)
