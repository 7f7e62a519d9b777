"""A pretend device memory: no bytes, only an account of them that every allocation goes through."""

from dataclasses import dataclass

from domain.errors import VramExhausted
from domain.memory_plan import align
from ports.memory import MemoryClass


@dataclass(frozen=True, slots=True)
class Allocation:
    """One piece of the pretend memory, to be freed exactly once."""

    allocation_id: int
    memory_class: MemoryClass
    size_bytes: int  # as taken: rounded up


class VramLedger:
    """The account of one device's memory."""

    def __init__(self, total_bytes: int) -> None:
        self.total_bytes = total_bytes
        self._live: dict[int, Allocation] = {}
        self._next_id = 0

    @property
    def free_bytes(self) -> int:
        return self.total_bytes - sum(allocation.size_bytes for allocation in self._live.values())

    def used_bytes(self, memory_class: MemoryClass) -> int:
        live = self._live.values()
        return sum(allocation.size_bytes for allocation in live if allocation.memory_class is memory_class)

    def allocate(self, memory_class: MemoryClass, size_bytes: int) -> Allocation:
        """Take `size_bytes`, rounded up to 256 as a device does.

        Raises:
            VramExhausted: there is less; nothing was taken.
        """
        rounded_bytes, free_bytes = align(size_bytes), self.free_bytes
        if rounded_bytes > free_bytes:
            raise VramExhausted(required_bytes=rounded_bytes, available_bytes=free_bytes)
        allocation = Allocation(self._next_id, memory_class, rounded_bytes)
        self._next_id += 1
        self._live[allocation.allocation_id] = allocation
        return allocation

    def free(self, allocation: Allocation) -> None:
        """Give one allocation back. Twice is a bug in the backend, and fails as one."""
        if self._live.pop(allocation.allocation_id, None) is None:
            raise AssertionError(f"{allocation} is not allocated: freed twice, or of another device")
