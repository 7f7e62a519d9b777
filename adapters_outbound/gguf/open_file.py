"""A file that is open, as long as it was when it was opened."""

import os

from adapters_outbound.gguf.bad_file import bad_file
from domain.errors import ModelLoadFailed


class OpenFile:
    """Its descriptor, and what is read by it. Any thread may read; the owner closes.

    Args:
        path: its name, for errors.
        descriptor: closed with this.
        size_bytes: of the file when it was opened.
    """

    def __init__(self, path: str, descriptor: int, size_bytes: int) -> None:
        self.descriptor = descriptor
        self._path = path
        self._size_bytes = size_bytes

    def fill(self, buffer: memoryview, start: int) -> None:
        """Read as many bytes as `buffer` takes, from byte `start` on.

        Raises:
            ModelLoadFailed: the file has become shorter, or cannot be read.
        """
        while buffer:
            try:
                count = os.preadv(self.descriptor, [buffer], start)
            except OSError as error:
                raise self.unreadable(error) from error
            if count == 0:
                self.check_length()
            start += count
            buffer = buffer[count:]

    def check_length(self) -> None:
        """Raise where the file ends sooner than it did.

        Raises:
            ModelLoadFailed: it does.
        """
        if (length := os.fstat(self.descriptor).st_size) < self._size_bytes:
            expected = f"{self._size_bytes} bytes, as when it was opened"
            raise bad_file(self._path, "file size", expected=expected, actual=length)

    def unreadable(self, error: OSError) -> ModelLoadFailed:
        """What is raised where the system does not read."""
        return bad_file(self._path, "file", expected="a readable file", actual=str(error))

    def close(self) -> None:
        os.close(self.descriptor)
