"""Faults to order, so that what is rare on a real device can be met on any day."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from domain.errors import DeviceLost, KernelLaunchFailed, VramExhausted

FAULT_HELP = """\
NAME@STEP[:ARG]: let the stand-in fail in device step STEP, or in every one where STEP is *. A device step is
one pass over all open jobs; steps are counted from 0 over the life of the process. A prompt of one chunk and
its first token are one step. NAME is one of

  slow-step       the step takes ARG milliseconds longer (slow-step@5:200, slow-step@*:50)
  out-of-memory   no memory for the step; nothing moved
  launch-failure  the step cannot be launched; what was running is lost
  nan-logits      the tokens of the step come out as NaN; what was running is lost
  device-lost     the device is gone, for good
  residency-lost  from this step on memory is no longer where it must be

Where an allocation should fail at load or when a job opens, give the device or the KV cache less memory."""


class FaultKind(StrEnum):
    """Names of the faults, as written."""

    SLOW_STEP = "slow-step"
    OUT_OF_MEMORY = "out-of-memory"
    LAUNCH_FAILURE = "launch-failure"
    NAN_LOGITS = "nan-logits"
    DEVICE_LOST = "device-lost"
    RESIDENCY_LOST = "residency-lost"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault and when it strikes."""

    kind: FaultKind
    step: int | None  # None is every step
    argument: float = 0.0  # slow-step: milliseconds


def parse_fault(text: str) -> Fault:
    """Read one fault as `FAULT_HELP` describes it.

    Raises:
        ValueError: it is written wrongly; the message is fit for the user.
    """
    name, at, when = text.partition("@")
    step, colon, argument = when.partition(":")
    if name not in list(FaultKind) or not at:
        raise ValueError(f"{text!r} is no fault: write NAME@STEP[:ARG], NAME one of {', '.join(FaultKind)}")
    if step != "*" and not (step.isascii() and step.isdigit()):
        raise ValueError(f"{text!r}: the step after @ is a whole number from 0, or * for every step")
    if (name == FaultKind.SLOW_STEP) != bool(colon):
        raise ValueError(
            f"{text!r}: {FaultKind.SLOW_STEP} takes milliseconds after a colon, no other fault does"
        )
    milliseconds = _milliseconds(text, argument) if colon else 0.0
    return Fault(FaultKind(name), None if step == "*" else int(step), milliseconds)


class FaultInjector:
    """Counts device steps and lets faults strike. One for the life of a backend."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._faults = tuple(faults)
        self._num_steps = 0
        self._is_device_lost = False
        self.is_residency_lost = False
        self.poisons_logits = False  # in the step now running

    def begin_step(self) -> None:
        """Count a step and let its faults strike, in the order they were given.

        Raises:
            VramExhausted, KernelLaunchFailed, DeviceLost: as ordered.
        """
        self.require_device()
        due = [fault for fault in self._faults if fault.step in (None, self._num_steps)]
        self._num_steps += 1
        self.poisons_logits = any(fault.kind is FaultKind.NAN_LOGITS for fault in due)
        for fault in due:
            self._strike(fault)

    def require_device(self) -> None:
        """Raise `DeviceLost` once the device is lost."""
        if self._is_device_lost:
            raise DeviceLost("the device is lost (injected)")

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
            case FaultKind.NAN_LOGITS:
                pass  # the forward pass asks for it


def _milliseconds(text: str, argument: str) -> float:
    try:
        value = float(argument)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise ValueError(f"{text!r}: {argument!r} is no number of milliseconds")
    return value
