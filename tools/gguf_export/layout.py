"""Where everything lies in a GGUF file, version 3, little-endian, aligned to 32 bytes: all but the data."""

import math
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ports.tensor_types import TensorType
from tools.gguf_export.metadata import WritableValue, encode_metadata, encode_string

_ALIGNMENT = 32


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """One line of the tensor table. `shape` is row-major: the last dimension is contiguous."""

    name: str
    shape: tuple[int, ...]
    type: TensorType

    @property
    def size_bytes(self) -> int:
        return math.prod(self.shape[:-1]) * self.type.row_bytes(self.shape[-1])


def encode_header(metadata: Mapping[str, WritableValue], entries: Sequence[TensorEntry]) -> bytes:
    """Everything before the data, padded; the tensors follow in order, each padded with `padding`.

    Raises:
        ValueError: a value or tensor that a GGUF file cannot hold.
    """
    _check(entries, metadata)
    counts = struct.pack("<4sIQQ", b"GGUF", 3, len(entries), len(metadata))
    header = counts + encode_metadata(metadata) + _encode_table(entries)
    return header + padding(len(header))


def padding(size_bytes: int) -> bytes:
    """The zeros between data of that size and what comes next."""
    return b"\0" * (-size_bytes % _ALIGNMENT)


@contextmanager
def open_atomically(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` only when all of it is on disk."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with unfinished.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _encode_table(entries: Sequence[TensorEntry]) -> bytes:
    table, offset = bytearray(), 0
    for entry in entries:
        table += encode_string(entry.name) + struct.pack("<I", len(entry.shape))
        table += struct.pack(f"<{len(entry.shape)}Q", *reversed(entry.shape))
        table += struct.pack("<IQ", entry.type, offset)
        offset += entry.size_bytes + len(padding(entry.size_bytes))
    return bytes(table)


def _check(entries: Sequence[TensorEntry], metadata: Mapping[str, WritableValue]) -> None:
    if metadata.get("general.alignment", _ALIGNMENT) != _ALIGNMENT:
        raise ValueError(f"this writer aligns to {_ALIGNMENT}, not {metadata['general.alignment']}")
    names = [entry.name for entry in entries]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"tensor names used twice: {sorted(twice)}")
    for entry in entries:
        _check_entry(entry)


def _check_entry(entry: TensorEntry) -> None:
    if not 1 <= len(entry.name.encode()) <= 63:  # llama.cpp keeps the name in 64 bytes with a final NUL
        raise ValueError(f"a tensor name has 1 to 63 bytes: {entry.name!r}")
    if not 1 <= len(entry.shape) <= 4 or min(entry.shape) < 1:
        raise ValueError(f"{entry.name}: a shape has 1 to 4 dimensions, each at least 1, got {entry.shape}")
    if entry.shape[-1] % entry.type.block.num_elements:
        raise ValueError(
            f"{entry.name}: a row of {entry.shape[-1]} is no multiple of {entry.type.name}'s block"
        )
