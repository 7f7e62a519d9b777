"""Device memory given back by a driver that fails."""

from types import SimpleNamespace
from typing import Any

import pytest

from backends.cuda import memory as memory_module
from backends.cuda.memory import DeviceMemory
from ports.memory import MemoryClass
from tests.backends.cuda.host_driver import Status


def test_closing_gives_back_all_that_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    freed: list[int] = []

    def free(d_ptr: int) -> tuple[Any]:
        freed.append(d_ptr)
        return (Status("CUDA_ERROR_UNKNOWN" if d_ptr == 1 else "CUDA_SUCCESS"),)

    d_ptrs = iter([1, 2, 3])
    driver = SimpleNamespace(cuMemFree=free, CUresult=SimpleNamespace(CUDA_ERROR_OUT_OF_MEMORY=2))
    monkeypatch.setattr(memory_module, "driver", driver)
    memory = DeviceMemory(
        SimpleNamespace(),  # type: ignore[arg-type] # asked only where memory runs out
        malloc=lambda _: (Status("CUDA_SUCCESS"), next(d_ptrs)),
    )
    for _ in range(3):
        memory.allocate(MemoryClass.SCRATCH, 256)

    memory.close()

    assert [1, 2, 3] == freed
    assert 0 == memory.used_bytes(MemoryClass.SCRATCH)
