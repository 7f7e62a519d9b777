"""Faults to order, so that what is rare on a real device can be met on any day.

Written NAME@N[:ARG]: at the Nth occasion of its kind, counted from 0 over the life of the process, or at
every one where N is *. Most occasions are device steps: a step is one pass over all open jobs, so a prompt of
one chunk and its first token are one. The README says what each fault does.
"""

import math
from dataclasses import dataclass
from enum import Enum, StrEnum, auto


class FaultKind(StrEnum):
    """Names of the faults, as written."""

    SLOW_STEP = "slow-step"
    OUT_OF_MEMORY = "out-of-memory"
    LAUNCH_FAILURE = "launch-failure"
    NAN_LOGITS = "nan-logits"
    DEVICE_LOST = "device-lost"
    RESIDENCY_LOST = "residency-lost"
    LOAD_ALLOCATION_FAILURE = "load-allocation-failure"
    UPLOAD_FAILURE = "upload-failure"
    ALLOCATION_FAILURE = "allocation-failure"


class Occasion(Enum):
    """What is counted, and may fail."""

    STEP = auto()
    LOAD_ALLOCATION = auto()
    UPLOAD = auto()
    ALLOCATION = auto()


_OCCASIONS = {  # of the kinds that strike elsewhere than in a step
    FaultKind.LOAD_ALLOCATION_FAILURE: Occasion.LOAD_ALLOCATION,
    FaultKind.UPLOAD_FAILURE: Occasion.UPLOAD,
    FaultKind.ALLOCATION_FAILURE: Occasion.ALLOCATION,
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault and when it strikes."""

    kind: FaultKind
    number: int | None  # of the occasion; None is every one
    argument: float = 0.0  # slow-step: milliseconds

    @property
    def occasion(self) -> Occasion:
        return _OCCASIONS.get(self.kind, Occasion.STEP)


def parse_fault(text: str) -> Fault:
    """Read one fault, as the module describes it.

    Raises:
        ValueError: it is written wrongly; the message is fit for the user.
    """
    name, at, when = text.partition("@")
    number, colon, argument = when.partition(":")
    if name not in list(FaultKind) or not at:
        raise ValueError(f"{text!r} is no fault: write NAME@N[:ARG], NAME one of {', '.join(FaultKind)}")
    if number != "*" and not (number.isascii() and number.isdigit()):
        raise ValueError(f"{text!r}: the N after @ is a whole number from 0, or * for every one")
    if (name == FaultKind.SLOW_STEP) != bool(colon):
        raise ValueError(
            f"{text!r}: {FaultKind.SLOW_STEP} takes milliseconds after a colon, no other fault does"
        )
    milliseconds = _milliseconds(text, argument) if colon else 0.0
    return Fault(FaultKind(name), None if number == "*" else int(number), milliseconds)


def _milliseconds(text: str, argument: str) -> float:
    try:
        value = float(argument)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise ValueError(f"{text!r}: {argument!r} is no number of milliseconds")
    return value
