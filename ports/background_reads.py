"""The port to reads of a model file that go on beside their caller."""

from collections.abc import Sequence
from typing import Protocol

from ports.model_file import TensorInfo


class BackgroundRead(Protocol):
    """Reads into the same chunks of memory, one at a time: begun, taken, and begun again."""

    def begin(self, tensor: TensorInfo, *, offset_bytes: int, size_bytes: int) -> None:
        """Have so many stored bytes of a tensor read to the start of the chunks.

        Raises:
            ModelLoadFailed: the system takes no more requests.
        """
        ...


class BackgroundReads(Protocol):
    """Reads of one file. One thread makes, begins, takes and closes them."""

    def into(self, chunks: Sequence[memoryview]) -> BackgroundRead:
        """Reads that fill `chunks`, one after the other or all at once.

        Args:
            chunks: writable, not empty, one behind the other. They stay as long as the reads do.

        Raises:
            ModelLoadFailed: the system does not give what that takes.
        """
        ...

    def take(self) -> BackgroundRead:
        """One of those begun that is done; waits for it.

        Raises:
            ModelLoadFailed: the file has become shorter than it was when it was opened, or cannot be read.
        """
        ...

    def close(self) -> None:
        """Wait for those under way: no memory is written to any more. Before the file is closed."""
        ...
