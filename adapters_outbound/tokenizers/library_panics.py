"""Panics of the `tokenizers` library, which is written in Rust, as ordinary exceptions."""

from collections.abc import Iterator
from contextlib import contextmanager


class LibraryPanic(Exception):
    """The library has met what its authors held to be impossible."""


@contextmanager
def panics_as_exceptions() -> Iterator[None]:
    """Raise a panic as `LibraryPanic`: as it comes it is no `Exception`, and no boundary would catch it.

    Raises:
        LibraryPanic: the library panicked.
    """
    try:
        yield
    except BaseException as exc:
        if type(exc).__module__ == "pyo3_runtime":  # the class cannot be imported
            raise LibraryPanic(str(exc)) from exc
        raise
