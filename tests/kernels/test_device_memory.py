"""Device memory on a device: what is taken is on record, plain, and comes back."""

from typing import Any

import pytest

from backends.cuda.bindings import driver
from backends.cuda.context import Context
from backends.cuda.memory import DeviceMemory, plain_device_memory
from domain.errors import DeviceError, VramExhausted
from ports.memory import MemoryClass

pytestmark = [pytest.mark.gpu, pytest.mark.req("M0-W-1011")]

MIB = 2**20


def fails_at(number: int) -> Any:
    """An allocator whose `number`th call, counted from 1, finds no memory."""
    calls = 0

    def malloc(size_bytes: int) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            return driver.CUresult.CUDA_ERROR_OUT_OF_MEMORY, 0
        return plain_device_memory(size_bytes)

    return malloc


def managed_memory(size_bytes: int) -> Any:
    return driver.cuMemAllocManaged(size_bytes, int(driver.CUmemAttach_flags.CU_MEM_ATTACH_GLOBAL))


def allocate_five(memory: DeviceMemory) -> None:
    for _ in range(5):
        memory.allocate(MemoryClass.SCRATCH, 8 * MIB)


def used_bytes(memory: DeviceMemory) -> list[int]:
    return [memory.used_bytes(memory_class) for memory_class in MemoryClass]


def test_classes_are_counted_apart_and_everything_comes_back(context: Context, memory: DeviceMemory) -> None:
    free_bytes = context.free_bytes()
    sizes = (64 * MIB, 32 * MIB, 10 * MIB + 1)
    buffers = [
        memory.allocate(memory_class, size) for memory_class, size in zip(MemoryClass, sizes, strict=True)
    ]

    assert [64 * MIB, 32 * MIB, 10 * MIB + 256] == used_bytes(memory)
    assert context.free_bytes() <= free_bytes - 106 * MIB
    for buffer in buffers:
        memory.free(buffer)
    assert [0, 0, 0] == used_bytes(memory)
    assert free_bytes == context.free_bytes()


def test_closing_gives_everything_back(context: Context) -> None:
    free_bytes = context.free_bytes()
    memory = DeviceMemory(context)
    for _ in range(8):
        memory.allocate(MemoryClass.WEIGHTS, 16 * MIB)
    memory.close()

    assert [0, 0, 0] == used_bytes(memory)
    assert free_bytes == context.free_bytes()


def test_freeing_twice_is_a_bug(memory: DeviceMemory) -> None:
    buffer = memory.allocate(MemoryClass.SCRATCH, 1)
    memory.free(buffer)

    with pytest.raises(AssertionError, match="freed twice"):
        memory.free(buffer)


@pytest.mark.req("M0-W-1021", "M0-W-1501")
def test_more_than_there_is_takes_nothing_and_says_how_much_there_was(
    context: Context, memory: DeviceMemory
) -> None:
    free_bytes, too_much = context.free_bytes(), 2 * context.properties.total_bytes
    with pytest.raises(VramExhausted) as failure:
        memory.allocate(MemoryClass.KV_CACHE, too_much)

    # At the refusal the driver may give back a block that earlier tests had freed: there is never less.
    free_bytes_now = context.free_bytes()
    assert {"vram_required_bytes": too_much, "vram_available_bytes": free_bytes_now} == failure.value.facts
    assert free_bytes <= free_bytes_now
    assert [0, 0, 0] == used_bytes(memory)
    memory.allocate(MemoryClass.KV_CACHE, MIB)


@pytest.mark.parametrize("number", [1, 2, 5])
def test_whichever_allocation_fails_nothing_stays_behind(context: Context, number: int) -> None:
    free_bytes = context.free_bytes()
    memory = DeviceMemory(context, malloc=fails_at(number))
    with pytest.raises(VramExhausted):
        allocate_five(memory)

    assert (number - 1) * 8 * MIB == memory.used_bytes(MemoryClass.SCRATCH)
    memory.close()
    assert free_bytes == context.free_bytes()


@pytest.mark.req("M0-W-1012")
def test_plain_device_memory_is_resident(memory: DeviceMemory) -> None:
    for size_bytes in (1, 1000, MIB, 100 * MIB):
        memory.allocate(MemoryClass.WEIGHTS, size_bytes)

    assert memory.check_residency()


@pytest.mark.req("M0-W-1010", "M0-W-1012")
def test_managed_memory_is_caught(context: Context) -> None:
    memory = DeviceMemory(context, malloc=managed_memory)
    memory.allocate(MemoryClass.WEIGHTS, 64 * 1024)
    is_resident = memory.check_residency()
    memory.close()

    assert not is_resident


@pytest.mark.req("M0-W-1012")
def test_memory_that_has_gone_is_caught(context: Context) -> None:
    memory = DeviceMemory(context)
    kept = memory.allocate(MemoryClass.WEIGHTS, 4 * MIB)
    gone = memory.allocate(MemoryClass.WEIGHTS, 4 * MIB)
    driver.cuMemFree(gone.d_ptr)  # behind the owner's back

    assert not memory.check_residency()
    with pytest.raises(DeviceError, match="cuMemFree"):
        memory.free(gone)
    memory.free(kept)
    assert memory.check_residency()
