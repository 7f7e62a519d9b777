"""Write the files of a bundle: header by kind, secrets redacted, for the owner only, in a manifest."""

import csv
import functools
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from adapters_outbound.proof_bundle.layout import GENERATED_BY, HEADER_LINE, HEADER_RECORD, MANIFEST
from domain.redaction import redact
from tests.proof_bundle.records import Record

Content = str | Sequence[Record]


def write_files(directory: Path, files: Mapping[str, Content]) -> None:
    """Write the files and, last, the manifest; a bundle that was there before is replaced.

    Raises:
        OSError: something cannot be written, or `directory` is there and is no bundle.
    """
    if (directory / MANIFEST).exists():
        shutil.rmtree(directory)
    directory.mkdir(mode=0o700, parents=True)
    manifest = ""
    for name in sorted(files):
        data = render(name, files[name]).encode("utf-8", "backslashreplace")  # a lone surrogate stays JSON
        _write(directory / name, data)
        manifest += f"{hashlib.sha256(data).hexdigest()}  {name}\n"
    _write(directory / MANIFEST, render(MANIFEST, manifest).encode())


def render(name: str, content: Content) -> str:
    """The whole text of a file, by its name's suffix. Records become lines, table rows, or one object."""
    suffix = Path(name).suffix
    if isinstance(content, str):
        return f"{HEADER_LINE}\n{redact(content)}"
    redact_once = functools.cache(redact)  # names and texts come again and again
    records = [_map_strings(redact_once, record) for record in content]
    if suffix == ".ndjson":
        return "".join(_json(record) + "\n" for record in (HEADER_RECORD, *records))
    if suffix == ".json":
        fields = {key: value for record in records for key, value in record.items()}
        return _json({"generated_by": GENERATED_BY, **fields}, indent=2) + "\n"
    table = _csv(records) if suffix == ".csv" else markdown_table(records)
    return f"{HEADER_LINE}\n{table}"


def markdown_table(records: Sequence[Record]) -> str:
    """One row for each record, the first one's keys as columns; nothing where there is no record."""
    if not records:
        return ""
    columns = list(records[0])
    rows = [columns, ["---"] * len(columns), *([record[column] for column in columns] for record in records)]
    return "".join(f"| {' | '.join(map(_cell, row))} |\n" for row in rows)


def _cell(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")


def _csv(records: Sequence[Record]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]) if records else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue().lstrip("\n")


def _map_strings(change: Callable[[str], str], value: Any) -> Any:
    """The value with every string in it changed; names of fields are ours and stay."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _map_strings(change, each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_map_strings(change, each) for each in value]
    return value


def _json(value: object, indent: int | None = None) -> str:
    separators = (",", ":") if indent is None else None
    return json.dumps(value, ensure_ascii=False, indent=indent, separators=separators)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
