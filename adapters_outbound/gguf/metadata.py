"""The metadata: keys, typed values, arrays.

Source: github.com/ggml-org/ggml docs/gguf.md, `gguf_metadata_value_type`.
"""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adapters_outbound.gguf.bad_file import quoted
from adapters_outbound.gguf.cursor import Cursor
from ports.model_file import MetadataValue

MAX_KEY_BYTES = 65_535
MAX_STRING_BYTES = 16 * 1024 * 1024
MAX_ALIGNMENT_BYTES = 64 * 1024
# In all arrays together. Of text, each costs ten times its 8 bytes in the file. Real vocabularies stay below
# 300,000 tokens, with as many types and scores, and 600,000 merges.
MAX_ITEMS = 4_000_000

_U32, _BOOL, _STRING, _ARRAY = 4, 7, 8, 9
_DTYPES: dict[int, np.dtype[np.generic]] = {
    number: np.dtype(code)
    for number, code in {
        0: "<u1", 1: "<i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 7: "<u1",
        10: "<u8", 11: "<i8", 12: "<f8",
    }.items()
}  # fmt: skip
_LENGTH = struct.Struct("<Q")


@dataclass(frozen=True, slots=True)
class Metadata:
    """Keys and values in file order, and where the data's alignment is given among them."""

    values: dict[str, MetadataValue]
    alignment_bytes: int


def read_metadata(cursor: Cursor, num_pairs: int) -> Metadata:
    """Read `num_pairs` keys with their values.

    Raises:
        ModelLoadFailed: a key is there twice, a length is beyond the end, a type is unknown, text is no
            UTF-8, or the arrays have too many items.
    """
    values: dict[str, MetadataValue] = {}
    alignment_bytes = 32
    num_items = 0
    for i in range(num_pairs):
        start = cursor.position
        key = cursor.name(f"key of pair {i}", longest=MAX_KEY_BYTES)
        if key in values:
            raise cursor.fail(f"key of pair {i}", "a key not used before", quoted(key), start)
        type_start = cursor.position
        value_type = cursor.u32(f"type of {quoted(key)}")
        value = values[key] = _read_value(cursor, value_type, quoted(key), most_items=MAX_ITEMS - num_items)
        num_items += len(value) if isinstance(value, list | np.ndarray) else 0
        if key == "general.alignment":
            alignment_bytes = _alignment(cursor, value_type, value, type_start)
    return Metadata(values, alignment_bytes)


def _alignment(cursor: Cursor, value_type: int, value: MetadataValue, type_start: int) -> int:
    if value_type != _U32 or not isinstance(value, int):
        raise cursor.fail("type of general.alignment", f"{_U32} (u32)", value_type, type_start)
    if not 8 <= value <= MAX_ALIGNMENT_BYTES or value & (value - 1):
        expected = f"a power of two, 8 to {MAX_ALIGNMENT_BYTES}"
        raise cursor.fail("general.alignment", expected, value, type_start + 4)
    return value


def _read_value(cursor: Cursor, value_type: int, field: str, *, most_items: int) -> MetadataValue:
    if value_type == _STRING:
        return cursor.string(field, longest=MAX_STRING_BYTES)
    if value_type == _ARRAY:
        return _read_array(cursor, field, most_items=most_items)
    if value_type not in _DTYPES:
        raise cursor.fail(f"type of {field}", "0 to 12", value_type, cursor.position - 4)
    numbers = _read_numbers(cursor, value_type, 1, field)
    number: bool | int | float = numbers[0].item()
    return number


def _read_array(cursor: Cursor, field: str, *, most_items: int) -> list[str] | NDArray[np.generic]:
    start = cursor.position
    item_type = cursor.u32(f"item type of {field}")
    count = cursor.u64(f"item count of {field}")
    if item_type != _STRING and item_type not in _DTYPES:
        expected = "a number, bool or string type (arrays in arrays are not read)"
        raise cursor.fail(f"item type of {field}", expected, item_type, start)
    item_bytes = _LENGTH.size if item_type == _STRING else _DTYPES[item_type].itemsize
    if count * item_bytes > cursor.remaining_bytes:
        most = cursor.remaining_bytes // item_bytes
        raise cursor.fail(f"item count of {field}", f"at most {most}, for so many fit", count, start + 4)
    if count > most_items:
        expected = f"at most {most_items}, for all arrays may have {MAX_ITEMS} items together"
        raise cursor.fail(f"item count of {field}", expected, count, start + 4)
    return (
        _read_strings(cursor, count, field)
        if item_type == _STRING
        else _read_numbers(cursor, item_type, count, field)
    )


def _read_numbers(cursor: Cursor, value_type: int, count: int, field: str) -> NDArray[np.generic]:
    dtype = _DTYPES[value_type]
    start = cursor.skip(count * dtype.itemsize, field)
    numbers = np.frombuffer(cursor.data, dtype, count, start).copy()  # a view would hold the mapping open
    if value_type == _BOOL:
        if (wrong := np.flatnonzero(numbers.view(np.uint8) > 1)).size:
            first = int(wrong[0])
            raise cursor.fail(f"bool of {field}", "0 or 1", int(numbers[first]), start + first)
        numbers = numbers.astype(np.bool_)
    numbers.setflags(write=False)
    return numbers


def _read_strings(cursor: Cursor, count: int, field: str) -> list[str]:
    """Hot: vocabularies have 150,000 tokens and as many merges."""
    data, end, length_at = cursor.data, cursor.end_bytes, _LENGTH.unpack_from
    strings: list[str] = []
    stop = cursor.position
    for i in range(count):
        start = stop + 8
        if start > end:
            raise cursor.fail(f"length of item {i} of {field}", "8 bytes", f"{end - stop} left", stop)
        length = length_at(data, stop)[0]
        if length > MAX_STRING_BYTES or start + length > end:
            expected = f"at most {min(MAX_STRING_BYTES, end - start)}"
            raise cursor.fail(f"length of item {i} of {field}", expected, length, stop)
        stop = start + length
        try:
            strings.append(data[start:stop].decode())
        except UnicodeDecodeError:
            strings.append(cursor.decode(start, stop, f"item {i} of {field}"))
    cursor.position = stop
    return strings
