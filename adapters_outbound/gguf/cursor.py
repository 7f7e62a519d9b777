"""Read little-endian fields one after another, never past the end."""

import mmap
import struct

from adapters_outbound.gguf.bad_file import bad_file, quoted
from domain.errors import ModelLoadFailed

_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")


class Cursor:
    """A position in a mapped file. `end_bytes` is where the header must have ended at the latest."""

    def __init__(self, data: mmap.mmap, *, path: str, end_bytes: int) -> None:
        self.data = data
        self.end_bytes = end_bytes
        self.position = 0
        self._path = path

    @property
    def remaining_bytes(self) -> int:
        return self.end_bytes - self.position

    def skip(self, size_bytes: int, field: str) -> int:
        """Move past `size_bytes` that must be there, and return where they start.

        Raises:
            ModelLoadFailed: fewer remain.
        """
        start = self.position
        if size_bytes > self.remaining_bytes:
            raise self.fail(field, f"{size_bytes} bytes", self._left(), start)
        self.position = start + size_bytes
        return start

    def u32(self, field: str) -> int:
        start = self.skip(4, field)
        number: int = _U32.unpack_from(self.data, start)[0]
        return number

    def u64(self, field: str) -> int:
        start = self.skip(8, field)
        number: int = _U64.unpack_from(self.data, start)[0]
        return number

    def string(self, field: str, *, longest: int, shortest: int = 0) -> str:
        """A length and so many bytes of UTF-8.

        Raises:
            ModelLoadFailed: the length is out of bounds or beyond the end, or the bytes are no UTF-8.
        """
        length = self.u64(f"length of {field}")
        if not shortest <= length <= longest:
            raise self.fail(f"length of {field}", f"{shortest} to {longest}", length, self.position - 8)
        start = self.skip(length, field)
        return self.decode(start, self.position, field)

    def name(self, field: str, *, longest: int) -> str:
        """A string that people will see: not empty, printable characters only."""
        start = self.position
        name = self.string(field, shortest=1, longest=longest)
        if not name.isprintable():
            raise self.fail(field, "printable characters", quoted(name), start + 8)
        return name

    def decode(self, start: int, stop: int, field: str) -> str:
        try:
            return self.data[start:stop].decode()
        except UnicodeDecodeError as exc:
            found = quoted(self.data[start:stop])
            raise self.fail(field, "UTF-8", found, start + exc.start) from exc

    def _left(self) -> str:
        if self.end_bytes < len(self.data):
            return f"{self.remaining_bytes} left of the {self.end_bytes} that a header may take"
        return f"{self.remaining_bytes} left in the file"

    def fail(self, check: str, expected: str, actual: str | int, offset_bytes: int) -> ModelLoadFailed:
        return bad_file(self._path, check, expected=expected, actual=actual, offset_bytes=offset_bytes)
