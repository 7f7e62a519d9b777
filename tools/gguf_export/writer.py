"""Write one GGUF file, version 3, little-endian, aligned to 32 bytes."""

import math
import os
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ports.tensor_types import TensorType
from tools.gguf_export.metadata import WritableValue, encode_metadata, encode_string
from tools.gguf_export.quantize import quantize, tensor_type_of

_ALIGNMENT = 32


@dataclass(frozen=True, slots=True)
class TensorToWrite:
    """One tensor in stored form. `shape` is row-major: the last dimension is contiguous."""

    name: str
    shape: tuple[int, ...]
    type: TensorType
    data: NDArray[np.uint8]


def quantize_tensor(name: str, values: NDArray[np.float32], kind: TensorType | str) -> TensorToWrite:
    """Quantize a tensor of 1 to 4 dimensions along its last.

    Raises:
        ValueError: as `quantize`.
    """
    rows = values.reshape(-1, values.shape[-1])
    return TensorToWrite(name, values.shape, tensor_type_of(kind), quantize(rows, kind))


def write_gguf(
    path: str | os.PathLike[str], *, metadata: Mapping[str, WritableValue], tensors: Iterable[TensorToWrite]
) -> None:
    """Write the file, or leave what was at `path` untouched.

    Args:
        path: where to; its directory must exist.
        metadata: pairs in file order; how values are typed: `encode_metadata`.
        tensors: in file order.

    Raises:
        ValueError: a value or tensor that a GGUF file cannot hold.
        OSError: the file could not be written.
    """
    table = list(tensors)
    _check(table, metadata)
    header = struct.pack("<4sIQQ", b"GGUF", 3, len(table), len(metadata))
    with _atomically(Path(path)) as file:
        file.write(_padded(header + encode_metadata(metadata) + _encode_table(table)))
        for tensor in table:
            file.write(np.ascontiguousarray(tensor.data).data)
            file.write(b"\0" * (-tensor.data.size % _ALIGNMENT))


def _encode_table(tensors: Sequence[TensorToWrite]) -> bytes:
    table, offset = bytearray(), 0
    for tensor in tensors:
        table += encode_string(tensor.name) + struct.pack("<I", len(tensor.shape))
        table += struct.pack(f"<{len(tensor.shape)}Q", *reversed(tensor.shape))
        table += struct.pack("<IQ", tensor.type, offset)
        offset += tensor.data.size + -tensor.data.size % _ALIGNMENT
    return bytes(table)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % _ALIGNMENT)


def _check(tensors: Sequence[TensorToWrite], metadata: Mapping[str, WritableValue]) -> None:
    if metadata.get("general.alignment", _ALIGNMENT) != _ALIGNMENT:
        raise ValueError(f"this writer aligns to {_ALIGNMENT}, not {metadata['general.alignment']}")
    names = [tensor.name for tensor in tensors]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"tensor names used twice: {sorted(twice)}")
    for tensor in tensors:
        _check_tensor(tensor)


def _check_tensor(tensor: TensorToWrite) -> None:
    if not 1 <= len(tensor.name.encode()) <= 63:  # llama.cpp keeps the name in 64 bytes with a final NUL
        raise ValueError(f"a tensor name has 1 to 63 bytes: {tensor.name!r}")
    if not 1 <= len(tensor.shape) <= 4 or min(tensor.shape) < 1:
        raise ValueError(f"{tensor.name}: a shape has 1 to 4 dimensions, each at least 1, got {tensor.shape}")
    if tensor.shape[-1] % tensor.type.block.num_elements:
        raise ValueError(
            f"{tensor.name}: a row of {tensor.shape[-1]} is no multiple of {tensor.type.name}'s block"
        )
    expected = math.prod(tensor.shape[:-1]) * tensor.type.row_bytes(tensor.shape[-1])
    if tensor.data.dtype != np.uint8 or expected != tensor.data.size:
        raise ValueError(
            f"{tensor.name}: {tensor.type.name} {tensor.shape} is {expected} bytes, "
            f"got {tensor.data.size} of {tensor.data.dtype}"
        )


@contextmanager
def _atomically(path: Path) -> Iterator[BinaryIO]:
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
