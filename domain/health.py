"""Whether this worker can be trusted with a job."""

from dataclasses import dataclass, replace
from enum import Enum


class Ailment(Enum):
    """What is wrong, gravest last."""

    OUT_OF_MEMORY = "the last job ran out of device memory"
    RESIDENCY_LOST = "memory that must be on the device is not"
    DEVICE_LOST = "the device is lost"


@dataclass(frozen=True, slots=True)
class HealthState:
    """One consistent reading."""

    ailment: Ailment | None = None
    vram_bytes_used: int = 0

    @property
    def healthy(self) -> bool:
        return self.ailment is None

    @property
    def resident(self) -> bool:
        """Whether the model is known to be on the device, which nobody knows of a lost one."""
        return self.usable

    @property
    def usable(self) -> bool:
        """False once no later job can succeed here."""
        return self.ailment in (None, Ailment.OUT_OF_MEMORY)


class Health:
    """Cached state, so that reading it never waits for the device. The inference thread writes, any reads."""

    def __init__(self) -> None:
        self._state = HealthState()

    @property
    def state(self) -> HealthState:
        return self._state

    def note_memory(self, used_bytes: int) -> None:
        self._state = replace(self._state, vram_bytes_used=used_bytes)

    def worsen(self, ailment: Ailment) -> bool:
        """Note an ailment; true where it is news. A graver one is never replaced by a lighter."""
        current = self._state.ailment
        order = list(Ailment)
        if current is not None and order.index(current) >= order.index(ailment):
            return False
        self._state = replace(self._state, ailment=ailment)
        return True

    def allocation_succeeded(self) -> None:
        """An allocation worked again: being out of memory is over, losing the device never is."""
        if self._state.ailment is Ailment.OUT_OF_MEMORY:
            self._state = replace(self._state, ailment=None)
