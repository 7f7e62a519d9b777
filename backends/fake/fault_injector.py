"""Lets ordered faults strike."""

import time
from collections import Counter
from collections.abc import Sequence

from backends.fake.faults import Fault, FaultKind, Occasion
from domain.errors import DeviceLost, KernelLaunchFailed, ModelLoadFailed, VramExhausted


class FaultInjector:
    """Counts what the device is asked to do, and fails what is ordered to. One for the life of a backend."""

    def __init__(self, faults: Sequence[Fault] = ()) -> None:
        self._faults = tuple(faults)
        self._counts: Counter[Occasion] = Counter()
        self._is_device_lost = False
        self.is_residency_lost = False
        self.poisons_logits = False  # in the step now running

    def begin_step(self) -> None:
        """Count a step and let its faults strike, in the order they were given.

        Raises:
            VramExhausted, KernelLaunchFailed, DeviceLost: as ordered.
        """
        self.require_device()
        due = self._count(Occasion.STEP)
        self.poisons_logits = any(fault.kind is FaultKind.NAN_LOGITS for fault in due)
        for fault in due:
            self._strike(fault)

    def begin_allocation(self, size_bytes: int, *, is_load: bool = False) -> None:
        """Count an allocation: of the load, or since.

        Raises:
            VramExhausted: as ordered.
        """
        if self._count(Occasion.LOAD_ALLOCATION if is_load else Occasion.ALLOCATION):
            raise VramExhausted(required_bytes=size_bytes, available_bytes=0)

    def begin_upload(self) -> None:
        """Count a piece of the file on its way to the device.

        Raises:
            ModelLoadFailed: as ordered.
        """
        if self._count(Occasion.UPLOAD):
            raise ModelLoadFailed("the model could not be copied to the device (injected)")

    def require_device(self) -> None:
        """Raise `DeviceLost` once the device is lost."""
        if self._is_device_lost:
            raise DeviceLost("the device is lost (injected)")

    def _count(self, occasion: Occasion) -> Sequence[Fault]:
        """Count `occasion`; the faults that strike at it."""
        number = self._counts[occasion]
        self._counts[occasion] += 1
        return [
            fault for fault in self._faults if fault.occasion is occasion and fault.number in (None, number)
        ]

    def _strike(self, fault: Fault) -> None:
        match fault.kind:
            case FaultKind.SLOW_STEP:
                time.sleep(fault.argument / 1000)
            case FaultKind.OUT_OF_MEMORY:
                raise VramExhausted(required_bytes=1, available_bytes=0)
            case FaultKind.LAUNCH_FAILURE:
                raise KernelLaunchFailed("the step could not be launched (injected)")
            case FaultKind.DEVICE_LOST:
                self._is_device_lost = True
                self.require_device()
            case FaultKind.RESIDENCY_LOST:
                self.is_residency_lost = True
            case _:
                pass  # NaN logits: the forward pass asks for them
