"""The requirements of the specification, as `requirements.toml` lists them."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

_LIST = Path(__file__).with_name("requirements.toml")


class Shown(StrEnum):
    """Where a requirement can be shown."""

    CPU = "cpu"  # by tests that need no GPU
    BOTH = "cpu+gpu"  # by those, and a part of it only on a GPU
    GPU = "gpu"  # only on a GPU
    BENCH = "bench"  # a speed: by a row of `make bench`, never by a test's time limit
    LATER = "later"  # not built, for the specification's own reason


_NEEDS_NOTE = (Shown.BOTH, Shown.GPU, Shown.LATER)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement. `note` says what needs the GPU, or why it is not built; `row` what measures it."""

    id: str
    section: str
    level: str
    text: str
    shown: Shown
    note: str = ""
    row: str = ""


def plain_id(requirement_id: str) -> str:
    """The one form of an ID: M0-SYS-x is SYS-x, adopted by the first milestone."""
    return requirement_id.removeprefix("M0-") if requirement_id.startswith("M0-SYS-") else requirement_id


def load_requirements(path: Path = _LIST) -> dict[str, Requirement]:
    """Read the list, by ID, in its order.

    Raises:
        ValueError: an ID is there twice or not in its one form, or a note or row that it needs is missing.
    """
    requirements: dict[str, Requirement] = {}
    for row in tomllib.loads(path.read_text(encoding="utf-8"))["requirement"]:
        requirement = _read(row)
        if requirement.id in requirements:
            raise ValueError(f"{requirement.id} is listed twice")
        requirements[requirement.id] = requirement
    return requirements


def _read(row: Mapping[str, Any]) -> Requirement:
    requirement = Requirement(**{**row, "shown": Shown(row["shown"])})
    if requirement.id != plain_id(requirement.id):
        raise ValueError(f"{requirement.id} is listed as {plain_id(requirement.id)}")
    if requirement.shown in _NEEDS_NOTE and not requirement.note:
        raise ValueError(f"{requirement.id} is shown by {requirement.shown}: its note must say more")
    if bool(requirement.row) != (requirement.shown is Shown.BENCH):
        raise ValueError(f"{requirement.id}: a row measures what is shown by {Shown.BENCH}, and only that")
    return requirement
