"""Open a GGUF file: the file itself, then all its header says."""

import mmap
import os
from contextlib import ExitStack

from adapters_outbound.gguf.bad_file import bad_file
from adapters_outbound.gguf.cursor import Cursor
from adapters_outbound.gguf.header import HEADER_BYTES, read_header
from adapters_outbound.gguf.metadata import Metadata, read_metadata
from adapters_outbound.gguf.model_file import GgufModelFile
from adapters_outbound.gguf.tensor_table import read_tensor_table
from adapters_outbound.regular_file import NotRegularFile, open_regular_file

# Header, metadata and tensor table together; real ones stay below 32 MiB. Bounds the time and memory that
# validation can take.
MAX_HEADER_BYTES = 256 * 1024 * 1024


class GgufModelFileOpener:
    """Opens GGUF files, version 3, little-endian. Any thread may call it."""

    def open(self, path: str) -> GgufModelFile:
        """Map and validate the file at `path`, which must hold tensors.

        Raises:
            ModelLoadFailed: the file is missing, unreadable or malformed.
        """
        return _open(path, min_tensors=1)

    def open_vocabulary(self, path: str) -> GgufModelFile:
        """As `open`, but a file without tensors will do.

        Raises:
            ModelLoadFailed: the file is missing, unreadable or malformed.
        """
        return _open(path, min_tensors=0)


def _open(path: str, *, min_tensors: int) -> GgufModelFile:
    descriptor = _open_regular(path)
    with ExitStack() as undo:
        undo.callback(os.close, descriptor)
        _check_size(path, os.fstat(descriptor).st_size)
        mapping = undo.enter_context(_map(path, descriptor))
        file = _validated(path, descriptor, mapping, min_tensors=min_tensors)
        undo.pop_all()
    return file


def _validated(path: str, descriptor: int, mapping: mmap.mmap, *, min_tensors: int) -> GgufModelFile:
    size_bytes = len(mapping)
    cursor = Cursor(mapping, path=path, end_bytes=min(size_bytes, MAX_HEADER_BYTES))
    header = read_header(cursor, min_tensors=min_tensors)
    metadata = read_metadata(cursor, header.num_pairs)
    _check_single(path, metadata)
    tensors = read_tensor_table(
        cursor, header.num_tensors, alignment_bytes=metadata.alignment_bytes, file_bytes=size_bytes
    )
    return GgufModelFile(path, descriptor, mapping, metadata=metadata.values, tensors=tensors)


def _check_single(path: str, metadata: Metadata) -> None:
    num_parts = metadata.values.get("split.count", 1)
    if isinstance(num_parts, int) and num_parts > 1:
        expected = "1 (join the parts with llama-gguf-split --merge)"
        raise bad_file(path, "split.count", expected=expected, actual=num_parts)


def _open_regular(path: str) -> int:
    try:
        return open_regular_file(path)
    except NotRegularFile as exc:
        raise bad_file(path, "file", expected="a regular file", actual=str(exc)) from exc
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else str(exc)
        raise bad_file(path, "file", expected="a readable file", actual=str(reason)) from exc


def _map(path: str, descriptor: int) -> mmap.mmap:
    try:
        return mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as exc:
        raise bad_file(path, "file", expected="a file that can be mapped", actual=str(exc)) from exc


def _check_size(path: str, size_bytes: int) -> None:
    if size_bytes < HEADER_BYTES:
        raise bad_file(path, "file size", expected=f"at least {HEADER_BYTES} bytes", actual=size_bytes)
