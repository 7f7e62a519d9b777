"""Encode GGUF metadata: which value type a Python or NumPy value becomes, and its bytes."""

import struct
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

# A NumPy scalar picks its exact type; an array of strings is a list, any other array a NumPy one.
WritableValue = bool | int | float | str | list[str] | np.generic | NDArray[np.generic]

_STRING, _ARRAY = 8, 9
_NUMBER_TYPES: dict[str, int] = {
    "u1": 0, "i1": 1, "u2": 2, "i2": 3, "u4": 4, "i4": 5, "f4": 6, "b1": 7, "u8": 10, "i8": 11, "f8": 12,
}  # fmt: skip


def encode_metadata(metadata: Mapping[str, WritableValue]) -> bytes:
    """Key-value pairs, in order.

    A Python int becomes u32, or where that cannot hold it i32, u64, i64; a float becomes f32; an array keeps
    its dtype.

    Raises:
        ValueError: a key is empty, a value has no GGUF type.
    """
    return b"".join(_pair(key, value) for key, value in metadata.items())


def encode_string(text: str) -> bytes:
    """Length in bytes, u64, then UTF-8."""
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _pair(key: str, value: WritableValue) -> bytes:
    if not 1 <= len(key.encode()) <= 65535:
        raise ValueError(f"a key has 1 to 65535 bytes, got {len(key.encode())}")
    return encode_string(key) + _typed_value(key, value)


def _typed_value(key: str, value: WritableValue) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", _STRING) + encode_string(value)
    if isinstance(value, list):
        return _strings(key, value)
    if isinstance(value, np.ndarray) and value.ndim == 1:
        header = struct.pack("<IIQ", _ARRAY, _number_type(key, value), len(value))
        return header + _little_endian(value)
    scalar = np.asarray(_sized(value))
    if scalar.ndim:
        raise ValueError(f"{key}: an array has one dimension, got {scalar.ndim}")
    return struct.pack("<I", _number_type(key, scalar)) + _little_endian(scalar)


def _strings(key: str, values: list[str]) -> bytes:
    if not all(isinstance(value, str) for value in values):
        raise ValueError(f"{key}: a list holds strings only; give numbers as a NumPy array, which has a type")
    return struct.pack("<IIQ", _ARRAY, _STRING, len(values)) + b"".join(map(encode_string, values))


def _sized(value: bool | int | float | np.generic | NDArray[np.generic]) -> np.generic | NDArray[np.generic]:
    """A Python number as the NumPy scalar of the type it is stored in."""
    if isinstance(value, np.generic | np.ndarray):
        return value
    if isinstance(value, bool):
        return np.bool_(value)
    if isinstance(value, float):
        return np.float32(value)
    for dtype in (np.uint32, np.int32, np.uint64, np.int64):
        if np.iinfo(dtype).min <= value <= np.iinfo(dtype).max:
            return dtype(value)
    raise ValueError(f"{value} fits no 64-bit integer")


def _number_type(key: str, array: NDArray[np.generic]) -> int:
    name = f"{array.dtype.kind}{array.dtype.itemsize}"
    if name not in _NUMBER_TYPES:
        raise ValueError(f"{key}: GGUF has no type for {array.dtype}")
    return _NUMBER_TYPES[name]


def _little_endian(array: NDArray[np.generic]) -> bytes:
    return array.astype(array.dtype.newbyteorder("<")).tobytes()
