"""The printable characters that stand for bytes in a byte-level vocabulary.

Source: Radford et al. 2019 (GPT-2), `bytes_to_unicode` of the released encoder.
"""

_PRINTABLE = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
_OTHERS = tuple(byte for byte in range(0x100) if byte not in _PRINTABLE)

# a printable byte is its own character; the others take those from U+0100 on, in order: a space is U+0120
CHARACTER_OF_BYTE: dict[int, str] = {byte: chr(byte) for byte in _PRINTABLE} | {
    byte: chr(0x100 + position) for position, byte in enumerate(_OTHERS)
}
_BYTE_OF_CHARACTER = {character: byte for byte, character in CHARACTER_OF_BYTE.items()}

# the bytes that occur in UTF-8; C0, C1 and F5 to FF never do
UTF8_BYTES = frozenset(range(0x100)) - {0xC0, 0xC1, *range(0xF5, 0x100)}


def bytes_of(token: str) -> bytes:
    """The bytes a stored token stands for.

    A token with a character outside the alphabet was never byte-mapped: it stands for its own text.
    """
    try:
        return bytes(_BYTE_OF_CHARACTER[character] for character in token)
    except KeyError:
        return token.encode()
