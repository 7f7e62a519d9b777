"""The requirement IDs of the specification, its ranges and slashes written out.

It lies outside the repository: beside the folder that `WORKER_ORCD_TEST_DATA` names, or in `../shared`.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from tools.trace.requirements import plain_id

_NEXT_TO_REPOSITORY = Path(__file__).parents[4] / "shared" / "data"
SPEC = Path(os.environ.get("WORKER_ORCD_TEST_DATA", _NEXT_TO_REPOSITORY)).parent / "spec" / "worker.md"

_RANGE = r"(?:-|\u2013|\u2026|\.\.\.)"
_ID = re.compile(
    rf"(?P<first>(?:M0-W-|NARR-|PB-)\d{{4}}|(?:M0-)?SYS-\d+\.\d+\.\d+|OBS-71xx)"
    rf"(?P<more>(?:/\d+|{_RANGE}\d+)*)"
)
_INDEX = "## 30. ID index"


def ids_in(text: str) -> set[str]:
    """Every ID that `text` names; those of its index, which leaves the prefix out, too."""
    body, _, index = text.partition(_INDEX)
    prefixed = re.sub(r"(?<=[ /])(\d{4})(?=\D)", r"M0-W-\1", re.sub(r"\([^)]*\)", "", index))
    return {requirement_id for part in (body, prefixed) for requirement_id in _expanded(part)}


def _expanded(text: str) -> Iterator[str]:
    for match in _ID.finditer(text):
        first = plain_id(match["first"])
        yield first
        stem, last = re.fullmatch(r"(.*?)(\d*)(?:xx)?", first).groups()  # type: ignore[union-attr]  # matches all
        for sign, number in re.findall(rf"(/|{_RANGE})(\d+)", match["more"]):
            numbers = [int(number)] if sign == "/" else range(int(last) + 1, int(number) + 1)
            yield from (f"{stem}{each}" for each in numbers)
            last = number
