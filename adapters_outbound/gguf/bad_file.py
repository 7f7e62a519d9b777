"""The one error a bad file gives, and text from the file made safe to show."""

from domain.errors import ModelLoadFailed

_LONGEST_QUOTE = 60


def bad_file(
    path: str, check: str, *, expected: str, actual: str | int, offset_bytes: int | None = None
) -> ModelLoadFailed:
    """Say which check of which file failed, what it wanted and what is there.

    Args:
        path: the file.
        check: the field or property checked; text from the file in it must be `quoted`.
        expected: what would have passed.
        actual: what was found; text from the file must be `quoted`.
        offset_bytes: where the field starts in the file.
    """
    where = "" if offset_bytes is None else f" at byte {offset_bytes}"
    return ModelLoadFailed(
        f"{_printable(path)}: {check}{where}: expected {expected}, got {actual}",
        model_path=path,
        check=check,
        expected=expected,
        actual=actual,
        offset_bytes=offset_bytes,
    )


def quoted(text: str | bytes) -> str:
    """Text of the file for a message: short, in quotes, no control or direction character left."""
    if len(text) <= _LONGEST_QUOTE:
        return repr(text)
    return f"{text[:_LONGEST_QUOTE]!r}... ({len(text)} long)"


def _printable(path: str) -> str:
    return path if path.isprintable() else repr(path)
