"""Typed reading of a model file's metadata: a wrong type is named, never guessed around."""

from collections.abc import Mapping
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from domain.errors import ModelLoadFailed
from ports.model_file import MetadataValue


class MetadataReader:
    """Reads keys of one file's metadata.

    Every method but `has` raises `ModelLoadFailed` that names file, key, expectation and what is there.
    """

    def __init__(self, metadata: Mapping[str, MetadataValue], *, path: str) -> None:
        self._metadata = metadata
        self._path = path

    def has(self, key: str) -> bool:
        return key in self._metadata

    def text(self, key: str) -> str:
        value = self._require(key)
        return value if isinstance(value, str) else self.refuse(key, "text", actual=_kind(value))

    def texts(self, key: str) -> list[str]:
        value = self._require(key)
        return value if isinstance(value, list) else self.refuse(key, "an array of text", actual=_kind(value))

    def flag(self, key: str, *, default: bool) -> bool:
        value = self._metadata.get(key, default)
        return value if isinstance(value, bool) else self.refuse(key, "true or false", actual=_kind(value))

    def numbers(self, key: str, *, dtypes: tuple[str, ...], length: int | None = None) -> NDArray[np.generic]:
        """An array whose elements are of one of `dtypes` and, where `length` is given, that many."""
        value = self._require(key)
        if not isinstance(value, np.ndarray) or value.dtype.name not in dtypes:
            self.refuse(key, f"an array of {' or '.join(dtypes)}", actual=_kind(value))
        if length is not None and len(value) != length:
            self.refuse(key, f"{length} elements, one for each token", actual=f"{len(value)}")
        return value

    def token_id(self, key: str, *, vocab_size: int) -> int | None:
        """A token id, or None where the key is missing."""
        if key not in self._metadata:
            return None
        value = self._metadata[key]
        if isinstance(value, bool) or not isinstance(value, int):
            self.refuse(key, "a token id", actual=_kind(value))
        if not 0 <= value < vocab_size:
            self.refuse(key, f"a token id below {vocab_size}", actual=f"{value}")
        return value

    def refuse(self, key: str, expected: str, *, actual: str) -> NoReturn:
        """Raise the failure that says that `key` is not as `expected`."""
        raise ModelLoadFailed(
            f"{self._path}: {key}: expected {expected}, found {actual}",
            model_path=self._path,
            key=key,
            expected=expected,
            actual=actual,
        )

    def _require(self, key: str) -> MetadataValue:
        if key not in self._metadata:
            self.refuse(key, "a value", actual="no such key")
        return self._metadata[key]


def _kind(value: MetadataValue) -> str:
    """What `value` is, for people."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype.name}"
    if isinstance(value, list):
        return "an array of text"
    return f"{value!r:.40} ({type(value).__name__})"
