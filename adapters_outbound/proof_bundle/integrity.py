"""Whether a proof bundle is as it was written."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from adapters_outbound.proof_bundle.layout import BASE_FILES, MANIFEST, header_problem

_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


class BrokenBundle(Exception):
    """The bundle cannot be read; the message says what and where."""


def check_integrity(directory: Path) -> list[str]:
    """Hold every file against the manifest and the header rule.

    Returns:
        One sentence for each thing that is wrong, in order of the paths; empty where all is well.

    Raises:
        BrokenBundle: there is no bundle at all, or its manifest cannot be read.
    """
    listed = _read_manifest(directory)
    found = {path.relative_to(directory).as_posix() for path in directory.rglob("*") if not path.is_dir()}
    found.discard(MANIFEST)
    problems = list(_header_problems(directory, MANIFEST))
    for name in sorted({*listed, *found, *BASE_FILES}):
        problems += _problems(directory, name, listed.get(name), is_there=name in found)
    return problems


def num_listed(directory: Path) -> int:
    """How many files the manifest lists."""
    return len(_read_manifest(directory))


def _problems(directory: Path, name: str, digest: str | None, *, is_there: bool) -> Iterator[str]:
    path = directory / name
    if not is_there:
        yield f"{name} is missing"
    elif path.is_symlink():
        yield f"{name} is a link"
    elif digest is None:
        yield f"{name} is not in the manifest"
    elif _sha256(path) != digest:
        yield f"{name} is not the file that was written: its SHA-256 differs"
    else:
        yield from _header_problems(directory, name)


def _header_problems(directory: Path, name: str) -> Iterator[str]:
    if problem := header_problem(directory / name):
        yield f"{name} {problem}"


def _read_manifest(directory: Path) -> dict[str, str]:
    path = directory / MANIFEST
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BrokenBundle(f"cannot read {path}: {error}") from error
    listed: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise BrokenBundle(f"{MANIFEST}, line {number}: expected a SHA-256, two blanks and a path")
        digest, name = match.groups()
        if not _stays_inside(name):
            raise BrokenBundle(f"{MANIFEST}, line {number}: {name!r} is no path inside the bundle")
        if name in listed:
            raise BrokenBundle(f"{MANIFEST}, line {number}: {name!r} is listed twice")
        listed[name] = digest
    return listed


def _stays_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return path.as_posix() == name and not path.is_absolute() and ".." not in path.parts and "\\" not in name


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
