"""A pipe whose reader does not read, until it does."""

import os
import threading
from types import TracebackType
from typing import Self

from adapters_outbound.narration.line_writer import LineWriter

_TIMEOUT_S = 20.0


class FullPipe:
    """`ours` is the end to write to: no byte has room before `read_all`."""

    def __enter__(self) -> Self:
        self._theirs, self.ours = os.pipe()
        os.set_blocking(self.ours, False)
        self._num_filled = 0
        try:
            while True:
                self._num_filled += os.write(self.ours, b"x")
        except BlockingIOError:
            os.set_blocking(self.ours, True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.ours)
        os.close(self._theirs)

    def read_all(self, writer: LineWriter) -> str:
        """Read until `writer`, which is closed for it, has written all that it had."""
        pieces: list[bytes] = []
        reader = threading.Thread(target=self._read, args=(pieces,))
        reader.start()
        writer.close(_TIMEOUT_S)
        os.write(self.ours, b"\0")
        reader.join()
        return b"".join(pieces)[self._num_filled : -1].decode()

    def _read(self, pieces: list[bytes]) -> None:
        while not (pieces and pieces[-1].endswith(b"\0")):
            pieces.append(os.read(self._theirs, 2**16))
