"""The tensor table: names, shapes, types, and where the bytes lie."""

import math
from dataclasses import dataclass
from itertools import pairwise

from adapters_outbound.gguf.bad_file import quoted
from adapters_outbound.gguf.cursor import Cursor
from adapters_outbound.gguf.ggml_types import type_name
from ports.model_file import TensorInfo
from ports.tensor_types import TensorType

MAX_NAME_BYTES = 64
MAX_DIMS = 4
MAX_ELEMENTS = 2**63 - 1


@dataclass(frozen=True, slots=True)
class _Entry:
    """One line of the table, checked but for its place; `at` is where its offset field lies in the file."""

    name: str
    shape: tuple[int, ...]
    type: TensorType
    size_bytes: int
    offset_bytes: int  # from the start of the data
    at: int


def read_tensor_table(
    cursor: Cursor, num_tensors: int, *, alignment_bytes: int, file_bytes: int
) -> dict[str, TensorInfo]:
    """Read the table and place every tensor in the file.

    Gaps between tensors and bytes after the last are accepted; so is any order.

    Raises:
        ModelLoadFailed: a name is there twice, a shape or type is not supported, a tensor does not lie
            aligned inside the file, or two overlap.
    """
    entries: dict[str, _Entry] = {}
    for i in range(num_tensors):
        start = cursor.position
        entry = _read_entry(cursor, i)
        if entry.name in entries:
            raise cursor.fail(f"name of tensor {i}", "a name not used before", quoted(entry.name), start)
        entries[entry.name] = entry
    data_start = cursor.position + -cursor.position % alignment_bytes
    for entry in entries.values():
        _check_place(cursor, entry, alignment_bytes, file_bytes - data_start)
    _check_overlap(cursor, sorted(entries.values(), key=lambda entry: entry.offset_bytes))
    return {entry.name: _placed(entry, data_start) for entry in entries.values()}


def _read_entry(cursor: Cursor, index: int) -> _Entry:
    name = cursor.name(f"name of tensor {index}", longest=MAX_NAME_BYTES)
    dims_start = cursor.position + 4
    shape = _read_shape(cursor, quoted(name))
    tensor_type = _read_type(cursor, quoted(name))
    block = tensor_type.block
    if shape[-1] % block.num_elements:
        expected = f"a multiple of {tensor_type.name}'s block of {block.num_elements}"
        raise cursor.fail(f"row length of {quoted(name)}", expected, shape[-1], dims_start)
    size_bytes = math.prod(shape) // block.num_elements * block.size_bytes
    offset_bytes = cursor.u64(f"offset of {quoted(name)}")
    return _Entry(name, shape, tensor_type, size_bytes, offset_bytes, cursor.position - 8)


def _read_shape(cursor: Cursor, name: str) -> tuple[int, ...]:
    start = cursor.position
    num_dims = cursor.u32(f"n_dims of {name}")
    if not 1 <= num_dims <= MAX_DIMS:
        raise cursor.fail(f"n_dims of {name}", f"1 to {MAX_DIMS}", num_dims, start)
    dims = [cursor.u64(f"dims of {name}") for _ in range(num_dims)]
    if min(dims) < 1:
        raise cursor.fail(f"dims of {name}", "each at least 1", str(dims), start + 4)
    if math.prod(dims) > MAX_ELEMENTS:
        raise cursor.fail(f"dims of {name}", f"at most {MAX_ELEMENTS} elements", str(dims), start + 4)
    return tuple(reversed(dims))  # the file names the contiguous dimension first


def _read_type(cursor: Cursor, name: str) -> TensorType:
    number = cursor.u32(f"type of {name}")
    try:
        return TensorType(number)
    except ValueError as exc:
        supported = "one of " + ", ".join(TensorType.__members__)
        raise cursor.fail(f"type of {name}", supported, type_name(number), cursor.position - 4) from exc


def _check_place(cursor: Cursor, entry: _Entry, alignment_bytes: int, data_bytes: int) -> None:
    field = f"offset of {quoted(entry.name)}"
    if entry.offset_bytes % alignment_bytes:
        raise cursor.fail(field, f"a multiple of {alignment_bytes}", entry.offset_bytes, entry.at)
    if entry.offset_bytes + entry.size_bytes > data_bytes:
        expected = f"an end within the {max(0, data_bytes)} bytes of data"
        found = f"{entry.offset_bytes} + {entry.size_bytes} bytes"
        raise cursor.fail(field, expected, found, entry.at)


def _check_overlap(cursor: Cursor, entries: list[_Entry]) -> None:
    for first, second in pairwise(entries):
        end = first.offset_bytes + first.size_bytes
        if second.offset_bytes < end:
            field = f"offset of {quoted(second.name)}"
            expected = f"at least {end}, where {quoted(first.name)} ends"
            raise cursor.fail(field, expected, second.offset_bytes, second.at)


def _placed(entry: _Entry, data_start: int) -> TensorInfo:
    return TensorInfo(entry.name, entry.shape, entry.type, data_start + entry.offset_bytes, entry.size_bytes)
