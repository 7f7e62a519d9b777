"""The instructions of a compiled kernel, as far as tests look at them."""

import struct
from collections.abc import Iterator

from backends.cuda.cubin import Cubin

_INSTRUCTION_BYTES = 16
_OPCODE_BITS = 12
_LDG, _ACQBULK = 0x981, 0x82E  # as nvdisasm names them: a load from memory, `griddepcontrol.wait`
_SIZE_OF_16_BYTES = 6


def loads_of_16_bytes_before_the_wait(cubin: Cubin) -> int:
    """How many loads a kernel for capability 9.0 has before it waits for the one before it."""
    count = 0
    for low, high in struct.iter_unpack("<QQ", _code(cubin)):
        opcode = low % 2**_OPCODE_BITS
        if opcode == _ACQBULK:
            return count
        count += opcode == _LDG and high >> 9 & 7 == _SIZE_OF_16_BYTES
    raise AssertionError(f"{cubin.symbol} never waits")


def _code(cubin: Cubin) -> bytes:
    """Its section of the image. Source: ELF-64, "Section Header"."""
    name = f".text.{cubin.symbol}".encode()
    sections = list(_sections(cubin.image))
    (names_at,) = struct.unpack_from("<H", cubin.image, 62)
    _, names_start, _ = sections[names_at]
    for name_at, start, size in sections:
        if cubin.image[names_start + name_at :].startswith(name + b"\0"):
            return cubin.image[start : start + size // _INSTRUCTION_BYTES * _INSTRUCTION_BYTES]
    raise AssertionError(f"no section {name!r}")


def _sections(image: bytes) -> Iterator[tuple[int, int, int]]:
    """Where each one's name is among the names, where it starts in the image, and its size."""
    (table_start,) = struct.unpack_from("<Q", image, 40)
    entry_size, num_entries = struct.unpack_from("<HH", image, 58)
    for at in range(table_start, table_start + entry_size * num_entries, entry_size):
        (name_at,) = struct.unpack_from("<I", image, at)
        start, size = struct.unpack_from("<QQ", image, at + 24)
        yield name_at, start, size
