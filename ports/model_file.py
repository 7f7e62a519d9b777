"""The port to a model file: its metadata, its tensor table, its bytes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from ports.tensor_types import TensorType

if TYPE_CHECKING:
    from ports.background_reads import BackgroundReads

# An array of strings arrives as a list, an array of numbers or booleans as a one-dimensional NumPy array.
MetadataValue = bool | int | float | str | list[str] | NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Where one tensor lies in the file. `shape` is row-major: the last dimension is contiguous."""

    name: str
    shape: tuple[int, ...]
    type: TensorType
    offset_bytes: int  # from the start of the file
    size_bytes: int


class ModelFile(Protocol):
    """One open, validated model file. Read-only; any thread may read, the owner closes."""

    @property
    def path(self) -> str: ...

    @property
    def metadata(self) -> Mapping[str, MetadataValue]: ...

    @property
    def tensors(self) -> Mapping[str, TensorInfo]: ...

    def read(self, tensor: TensorInfo, *, offset_bytes: int, size_bytes: int) -> memoryview:
        """View stored bytes of a tensor without copying; the view is valid until the next call or `close`.

        Raises:
            ModelLoadFailed: the file has become shorter than it was when it was opened.
        """
        ...

    def background_reads(self) -> "BackgroundReads":
        """Reads that go on beside the caller, several at once, which is faster than one after the other."""
        ...

    def close(self) -> None:
        """Unmap the file. Idempotent."""
        ...


class ModelFileOpener(Protocol):
    """Opens model files."""

    def open(self, path: str) -> ModelFile:
        """Map and validate the file at `path`.

        Raises:
            ModelLoadFailed: the file is missing, unreadable or malformed.
        """
        ...
