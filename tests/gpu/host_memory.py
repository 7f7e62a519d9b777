"""A program that loads a model onto the device and prints, as JSON, what of it the host still holds."""

import json
import re
import sys
from pathlib import Path

from tests.gpu.port import opened


def main() -> None:
    """Arguments: the backend's name, the model's path."""
    backend, path = sys.argv[1:]
    with opened(backend, path):
        print(json.dumps({"private_bytes": private_bytes("self"), "mapped": is_mapped("self", path)}))  # noqa: T201 # the test reads it


def private_bytes(process: int | str) -> int:
    """Resident memory that the process shares with nobody."""
    rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
    kilobytes = re.findall(r"^Private_(?:Clean|Dirty):\s+(\d+) kB", rollup, re.MULTILINE)
    return 1024 * sum(map(int, kilobytes))


def is_mapped(process: int | str, path: str) -> bool:
    """Whether any of the file is in the process's address space."""
    return path in Path(f"/proc/{process}/maps").read_text()


if __name__ == "__main__":
    main()
