"""JSON files of a vocabulary, read within bounds."""

import json
import os
from pathlib import Path
from typing import Any, NoReturn

from adapters_outbound.regular_file import NotRegularFile, open_regular_file
from domain.errors import ModelLoadFailed

# Real ones stay below 40 MB. Parsed, a file can take twenty times its size.
MAX_JSON_BYTES = 64 * 1024 * 1024


def read_json_file(path: Path, *, required: bool = True) -> bytes:
    """The bytes of a file; where it is not `required`, a missing one is an empty object.

    Raises:
        ModelLoadFailed: it cannot be read, is no regular file or too large; the message names its path.
    """
    try:
        with os.fdopen(open_regular_file(str(path)), "rb") as file:
            data = file.read(MAX_JSON_BYTES + 1)
    except NotRegularFile as exc:
        refuse_file(path, "a regular file", actual=str(exc), cause=exc)
    except OSError as exc:
        if not required and isinstance(exc, FileNotFoundError):
            return b"{}"
        refuse_file(path, "a file that can be read", actual=exc.strerror or str(exc), cause=exc)
    except ValueError as exc:  # NUL or a lone surrogate in the path
        refuse_file(path, "a file that can be read", actual=str(exc), cause=exc)
    if len(data) > MAX_JSON_BYTES:
        refuse_file(path, f"a file of at most {MAX_JSON_BYTES} bytes", actual="a larger one")
    return data


def parse_json_object(data: bytes, path: Path) -> dict[str, Any]:
    """Parse the content of the file at `path`, which is one JSON object.

    Raises:
        ModelLoadFailed: it is something else; the message names its path.
    """
    try:
        content: object = json.loads(data)
    except ValueError as exc:
        refuse_file(path, "JSON in UTF-8", actual=str(exc), cause=exc)
    except RecursionError as exc:
        refuse_file(path, "JSON in UTF-8", actual="JSON nested too deeply", cause=exc)
    if not isinstance(content, dict):
        refuse_file(path, "a JSON object", actual=type(content).__name__)
    return content


def refuse_file(path: Path, expected: str, *, actual: str, cause: Exception | None = None) -> NoReturn:
    """Raise the failure that says that the file at `path` is not as `expected`."""
    raise ModelLoadFailed(
        f"{path}: expected {expected}, found {actual}",
        model_path=str(path),
        expected=expected,
        actual=actual,
    ) from cause
