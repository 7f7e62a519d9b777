"""The first 24 bytes: magic, version, counts."""

from dataclasses import dataclass

from adapters_outbound.gguf.bad_file import quoted
from adapters_outbound.gguf.cursor import Cursor

HEADER_BYTES = 24
MAX_TENSORS = 9_999
MAX_PAIRS = 65_536

_VERSION = 3
_SMALLEST_PAIR_BYTES = 8 + 1 + 4 + 1  # a key of one letter, a type, a value of one byte
_SMALLEST_TENSOR_BYTES = 8 + 1 + 4 + 8 + 4 + 8  # a name of one letter, one dimension, a type, an offset
_OLD_MAGICS = (b"lmgg", b"fmgg", b"tjgg", b"algg", b"GGML", b"ggml", b"ggmf", b"ggjt", b"ggla")


@dataclass(frozen=True, slots=True)
class Header:
    """How many of what follow."""

    num_tensors: int
    num_pairs: int


def read_header(cursor: Cursor, *, min_tensors: int) -> Header:
    """Read and check magic, version and counts.

    Raises:
        ModelLoadFailed: one of them is not what this reader takes.
    """
    _check_magic(cursor)
    _check_version(cursor)
    num_tensors = cursor.u64("tensor_count")
    num_pairs = cursor.u64("metadata_kv_count")
    _check_count(
        cursor,
        "tensor_count",
        num_tensors,
        bounds=(min_tensors, MAX_TENSORS),
        smallest_bytes=_SMALLEST_TENSOR_BYTES,
        at=8,
    )
    _check_count(
        cursor,
        "metadata_kv_count",
        num_pairs,
        bounds=(0, MAX_PAIRS),
        smallest_bytes=_SMALLEST_PAIR_BYTES,
        at=16,
    )
    return Header(num_tensors, num_pairs)


def _check_magic(cursor: Cursor) -> None:
    start = cursor.skip(4, "magic")
    magic = cursor.data[start : start + 4]
    if magic == b"GGUF":
        return
    hint = " (a format before GGUF: convert the model again)" if magic in _OLD_MAGICS else ""
    hint = " (a byte-swapped file)" if magic == b"FUGG" else hint
    raise cursor.fail("magic", "b'GGUF'", f"{quoted(magic)}{hint}", start)


def _check_version(cursor: Cursor) -> None:
    version = cursor.u32("version")
    if version == _VERSION:
        return
    hint = " (an old file: convert the model again)" if version in (1, 2) else ""
    hint = " (a big-endian file: convert the model to little-endian)" if version & 0xFFFFFF == 0 else hint
    raise cursor.fail("version", str(_VERSION), f"{version}{hint if version else ''}", cursor.position - 4)


def _check_count(
    cursor: Cursor, field: str, count: int, *, bounds: tuple[int, int], smallest_bytes: int, at: int
) -> None:
    low, high = bounds
    if not low <= count <= high:
        raise cursor.fail(field, f"{low} to {high}", count, at)
    if count * smallest_bytes > cursor.remaining_bytes:
        most = cursor.remaining_bytes // smallest_bytes
        raise cursor.fail(field, f"at most {most}, for so many fit into the file", count, at)
