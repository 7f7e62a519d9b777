"""Device memory: one owner, plain device allocations only, every one on record (M0-W-1010, M0-W-1011)."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from backends.cuda.bindings import driver
from backends.cuda.context import Context
from backends.cuda.errors import check, check_release
from domain.errors import DeviceError, VramExhausted
from domain.memory_plan import align
from ports.memory import MemoryClass


@dataclass(frozen=True, slots=True)
class DeviceBuffer:
    """One allocation, to be freed exactly once."""

    d_ptr: int
    size_bytes: int  # as taken: rounded up
    memory_class: MemoryClass


def plain_device_memory(size_bytes: int) -> Any:
    return driver.cuMemAlloc(size_bytes)


class DeviceMemory:
    """The account of what this process holds on one device.

    Args:
        context: where memory is taken.
        malloc: the driver call that takes it, of the form of `cuMemAlloc`. Tests pass others: one that fails,
            one that takes memory which must not be taken.
    """

    def __init__(self, context: Context, malloc: Callable[[int], Any] = plain_device_memory) -> None:
        self._context = context
        self._malloc = malloc
        self._live: dict[int, DeviceBuffer] = {}  # by address

    def used_bytes(self, memory_class: MemoryClass) -> int:
        live = self._live.values()
        return sum(buffer.size_bytes for buffer in live if buffer.memory_class is memory_class)

    def allocate(self, memory_class: MemoryClass, size_bytes: int) -> DeviceBuffer:
        """Take `size_bytes`, rounded up to 256; what is in them is undefined.

        Raises:
            VramExhausted: there is less; nothing was taken.
            DeviceError: any other failure; nothing was taken.
        """
        rounded_bytes = align(size_bytes)
        status, d_ptr = self._malloc(rounded_bytes)
        if status == driver.CUresult.CUDA_ERROR_OUT_OF_MEMORY:
            raise VramExhausted(required_bytes=rounded_bytes, available_bytes=self._context.free_bytes())
        check((status,), "cuMemAlloc")
        buffer = DeviceBuffer(int(d_ptr), rounded_bytes, memory_class)
        self._live[buffer.d_ptr] = buffer
        return buffer

    def free(self, buffer: DeviceBuffer) -> None:
        """Give one allocation back, after what was enqueued with it. Twice is a bug, and fails as one."""
        if self._live.pop(buffer.d_ptr, None) is None:
            raise AssertionError(f"{buffer} is not allocated: freed twice, or of another device")
        check_release(driver.cuMemFree(buffer.d_ptr), "cuMemFree")

    def close(self) -> None:
        """Give everything back, as far as the driver does. Never raises."""
        for buffer in list(self._live.values()):
            with suppress(DeviceError):
                self.free(buffer)

    def check_residency(self) -> bool:
        """Whether the driver holds every allocation as plain memory of this device (M0-W-1012).

        Raises:
            DeviceLost: the context is dead, and all that was in it.
            DeviceError: the driver could not be asked.
        """
        self._context.free_bytes()  # a dead context still answers what is asked below, and rightly: it was so
        return all(self._is_resident(buffer) for buffer in self._live.values())

    def _is_resident(self, buffer: DeviceBuffer) -> bool:
        # The context stands for the device, which it belongs to: cuda-bindings before 13.4 answers 0 to
        # DEVICE_ORDINAL, whatever the device.
        names = ("MEMORY_TYPE", "IS_MANAGED", "HOST_POINTER", "CONTEXT", "RANGE_START_ADDR")
        attributes = [getattr(driver.CUpointer_attribute, f"CU_POINTER_ATTRIBUTE_{name}") for name in names]
        values = check(
            driver.cuPointerGetAttributes(len(attributes), attributes, buffer.d_ptr), "cuPointerGetAttributes"
        )
        expected = (
            int(driver.CUmemorytype.CU_MEMORYTYPE_DEVICE),
            0,
            0,
            int(self._context.handle),
            buffer.d_ptr,
        )
        return expected == tuple(int(value) for value in values)
