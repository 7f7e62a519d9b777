"""Write one GGUF file, version 3, little-endian, aligned to 32 bytes."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ports.tensor_types import TensorType
from tools.gguf_export.layout import TensorEntry, encode_header, open_atomically, padding
from tools.gguf_export.metadata import WritableValue
from tools.gguf_export.quantize import quantize, tensor_type_of


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
    entries = [TensorEntry(tensor.name, tensor.shape, tensor.type) for tensor in table]
    header = encode_header(metadata, entries)
    for tensor, entry in zip(table, entries, strict=True):
        _check_data(tensor, entry.size_bytes)
    with open_atomically(Path(path)) as file:
        file.write(header)
        for tensor in table:
            file.write(np.ascontiguousarray(tensor.data).data)
            file.write(padding(tensor.data.size))


def _check_data(tensor: TensorToWrite, expected_bytes: int) -> None:
    if tensor.data.dtype != np.uint8 or expected_bytes != tensor.data.size:
        raise ValueError(
            f"{tensor.name}: {tensor.type.name} {tensor.shape} is {expected_bytes} bytes, "
            f"got {tensor.data.size} of {tensor.data.dtype}"
        )
