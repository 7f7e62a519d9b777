"""Read typed fields out of a decoded JSON object, collecting every failure."""

import json
import math
from collections.abc import Mapping

from domain.errors import FieldError

_MAX_ECHO_CHARS = 64


class FieldReader:
    """Reads one object. A field that does not hold leaves an error and a harmless value behind.

    JSON types are taken strictly: true is no integer, 5.0 is no integer, "5" is no number; null is absence.
    """

    def __init__(self, body: Mapping[str, object]) -> None:
        self._body = body
        self.errors: list[FieldError] = []

    def required_string(self, field: str) -> str | None:
        value = self._body.get(field)
        if value is None:
            self.refuse(field, "required", "is required")
        elif not isinstance(value, str):
            self.refuse(field, "type(string)", f"must be a string, not {_json_type(value)}")
        else:
            return value
        return None

    def optional_integer(self, field: str) -> int | None:
        value = self._body.get(field)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            self.refuse(field, "type(integer)", f"must be an integer, not {_json_type(value)}", value)
            return None
        return value

    def integer(self, field: str, minimum: int, maximum: int, *, default: int) -> int:
        """An integer in [minimum, maximum]."""
        value = self.optional_integer(field)
        if value is None:
            return default
        self._check_range(field, value, minimum, maximum)
        return value

    def number(self, field: str, minimum: float, maximum: float, *, default: float) -> float:
        """A finite number in [minimum, maximum]; an integer is one too."""
        value = self._body.get(field)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.refuse(field, "type(number)", f"must be a number, not {_json_type(value)}", value)
            return default
        if not self._check_range(field, value, minimum, maximum):
            return default
        return float(value)

    def strings(self, field: str) -> tuple[str, ...]:
        value = self._body.get(field)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.refuse(field, "type(string[])", "must be an array of strings")
            return ()
        return tuple(value)

    def refuse(self, field: str, constraint: str, problem: str, value: object = None) -> None:
        """Note that `field` does not hold. `value` is echoed as JSON, shortened, where it is given."""
        echo = None if value is None else _echo(value)
        self.errors.append(FieldError(field, constraint, f"{field} {problem}", echo))

    def _check_range(self, field: str, value: int | float, minimum: float, maximum: float) -> bool:
        constraint = f"range({minimum}..={maximum})"
        if isinstance(value, float) and not math.isfinite(value):  # an int may be too large for a float
            self.refuse(field, constraint, "must be a finite number", value)
        elif value < minimum:
            self.refuse(field, constraint, f"must be at least {minimum} (got {_echo(value)})", value)
        elif value > maximum:
            self.refuse(field, constraint, f"must be at most {maximum} (got {_echo(value)})", value)
        else:
            return True
        return False


def _echo(value: object) -> str:
    if isinstance(value, int) and value.bit_length() > 4 * _MAX_ECHO_CHARS:
        return "an integer of many digits"  # printing it costs time that grows with the square of its length
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "a deeply nested value"  # what could be read need not be printable: the stack is deeper here
    return text if len(text) <= _MAX_ECHO_CHARS else text[: _MAX_ECHO_CHARS - 1] + "…"


def _json_type(value: object) -> str:
    names = {bool: "a boolean", int: "an integer", float: "a number", str: "a string", list: "an array"}
    return names.get(type(value), "an object")
