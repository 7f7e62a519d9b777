"""The name that all bundles of one run share, and the folder they lie in (spec §25)."""

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")


def run_id(environment: Mapping[str, str], *, now: datetime, git_commit: str) -> str:
    """`LLORCH_RUN_ID`, else YYYYMMDD-HHMMSS-<first 8 digits of the commit>; `now` in UTC.

    Raises:
        ValueError: the variable holds no plain file name.
    """
    given = environment.get("LLORCH_RUN_ID")
    if given is None:
        return f"{now:%Y%m%d-%H%M%S}-{git_commit[:8]}"
    if not _NAME.fullmatch(given):
        raise ValueError(f"LLORCH_RUN_ID must be a plain file name, not {given!r}")
    return given


def proof_directory(environment: Mapping[str, str], *, root: Path) -> Path:
    """`LLORCH_PROOF_DIR`, else `.proof_bundle` in the repository at `root`."""
    return Path(environment.get("LLORCH_PROOF_DIR") or root / ".proof_bundle")
