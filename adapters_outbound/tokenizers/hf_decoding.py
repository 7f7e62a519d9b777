"""What the tokens of a `tokenizer.json` stand for, by the decoder the file names."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from adapters_outbound.tokenizers.byte_alphabet import bytes_of
from adapters_outbound.tokenizers.json_file import refuse_file
from domain.metadata import shown

_BLANK = "\u2581"
_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def read_bytes_of_token(content: dict[str, Any], path: Path) -> Callable[[str], bytes]:
    """The function that turns one stored token into its bytes.

    Args:
        content: of the file.
        path: of the file, for messages.

    Raises:
        ModelLoadFailed: the decoder is none whose tokens stand for bytes one by one.
    """
    steps = list(_steps(content.get("decoder")))
    kinds = {str(step.get("type")) for step in steps}
    replaces_blank = any(
        step.get("pattern") == {"String": _BLANK} and step.get("content") == " " for step in steps
    )
    if not kinds & {"ByteLevel", "Metaspace"} and not replaces_blank:
        refuse_file(
            path,
            "a decoder of ByteLevel, or of Metaspace or Replace with or without ByteFallback",
            actual=shown(", ".join(sorted(kinds))) if kinds else "none",
        )
    if "ByteLevel" in kinds:
        return bytes_of
    return _bytes_with_fallback if "ByteFallback" in kinds else _bytes_of_words


def _steps(decoder: object) -> Iterator[dict[str, Any]]:
    """The decoder's parts, be it one or a sequence of them."""
    if isinstance(decoder, dict):
        if decoder.get("type") == "Sequence":
            parts = decoder.get("decoders")
            for part in parts if isinstance(parts, list) else ():
                yield from _steps(part)
        else:
            yield decoder


def _bytes_with_fallback(token: str) -> bytes:
    match = _BYTE_TOKEN.fullmatch(token)
    return bytes([int(match[1], 16)]) if match else _bytes_of_words(token)


def _bytes_of_words(token: str) -> bytes:
    return token.replace(_BLANK, " ").encode()
