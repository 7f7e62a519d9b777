"""Text that can do no harm in a log: one line, no control or invisible characters."""

import unicodedata

# Cc control, Cf format (zero-width, direction), Cs surrogate, Zl and Zp line and paragraph separators
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def clean_text(text: str) -> str:
    """`text` without characters that break a line, hide, or reorder (NARR-4002 to 4005)."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(char for char in text if unicodedata.category(char) not in _HIDDEN_CATEGORIES)
