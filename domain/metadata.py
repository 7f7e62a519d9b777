"""Typed access to a model file's metadata; what is missing, mistyped or absurd is refused by name."""

import math

from domain.errors import ModelLoadFailed
from ports.model_file import MetadataValue, ModelFile

_SHOWN_CHARACTERS = 80  # of a value from the file, which nobody has vouched for, in a message


def refusal(file: ModelFile, check: str, *, expected: str, actual: str) -> ModelLoadFailed:
    """The error that says which check of which file failed, what was expected and what it got."""
    return ModelLoadFailed(
        f"{file.path}: {check}: expected {expected}, got {actual}",
        model_path=file.path,
        check=check,
        expected=expected,
        actual=actual,
    )


def require_int(file: ModelFile, key: str, *, minimum: int, maximum: int) -> int:
    """The integer under `key`, in [minimum, maximum].

    Raises:
        ModelLoadFailed: it is missing, no integer, or out of range.
    """
    value = _require(file, key, f"an integer in [{minimum}, {maximum}]")
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
        raise _mismatch(file, key, f"an integer in [{minimum}, {maximum}]", value)
    return value


def optional_int(file: ModelFile, key: str, *, default: int, minimum: int, maximum: int) -> int:
    """As `require_int`; `default`, unchecked, where the key is missing."""
    return require_int(file, key, minimum=minimum, maximum=maximum) if key in file.metadata else default


def require_float(file: ModelFile, key: str, *, above: float, maximum: float) -> float:
    """The floating-point number under `key`, in (above, maximum]; NaN is in no range.

    Raises:
        ModelLoadFailed: it is missing, no floating-point number, or out of range.
    """
    value = _require(file, key, f"a number in ({above}, {maximum}]")
    if not isinstance(value, float) or math.isnan(value) or not above < value <= maximum:
        raise _mismatch(file, key, f"a number in ({above}, {maximum}]", value)
    return value


def optional_float(file: ModelFile, key: str, *, default: float, above: float, maximum: float) -> float:
    """As `require_float`; `default`, unchecked, where the key is missing."""
    return require_float(file, key, above=above, maximum=maximum) if key in file.metadata else default


def require_str(file: ModelFile, key: str) -> str:
    """The text under `key`.

    Raises:
        ModelLoadFailed: it is missing or no text.
    """
    value = _require(file, key, "a string")
    if not isinstance(value, str):
        raise _mismatch(file, key, "a string", value)
    return value


def optional_str(file: ModelFile, key: str, *, default: str) -> str:
    """As `require_str`; `default` where the key is missing."""
    return require_str(file, key) if key in file.metadata else default


def shown(value: object) -> str:
    """A value from the file, fit for a log line: escaped and cut."""
    text = ascii(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."


def _require(file: ModelFile, key: str, expected: str) -> MetadataValue:
    try:
        return file.metadata[key]
    except KeyError:
        raise refusal(file, key, expected=expected, actual="no such key") from None


def _mismatch(file: ModelFile, key: str, expected: str, value: MetadataValue) -> ModelLoadFailed:
    is_scalar = isinstance(value, bool | int | float | str)
    return refusal(file, key, expected=expected, actual=shown(value) if is_scalar else "an array")
