"""Text that can do no harm in a log: one line, no control or invisible characters, no secrets."""

import unicodedata

from domain.redaction import redact

# Cc control, Cf format (zero-width, direction), Cs surrogate, Zl and Zp line and paragraph separators
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def safe_text(text: str) -> str:
    """`text` without characters that break a line, hide, or reorder, and without secrets (NARR-3001 to 4005).

    Secrets are looked for where lines still end, and with nothing invisible inside of them; then once more,
    because taking the line ends out can join what was two lines.
    """
    if text.isascii() and text.isprintable():
        return redact(text)
    visible = "".join(char for char in text if char.isspace() or not _is_hidden(char))
    return redact("".join(char for char in redact(visible) if not _is_hidden(char)))


def ascii_name(text: str) -> str:
    """`text` without all that is not printable ASCII: a name that cannot look like another (NARR-4005)."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(char for char in text if char.isascii() and char.isprintable())


def _is_hidden(char: str) -> bool:
    return unicodedata.category(char) in _HIDDEN_CATEGORIES
