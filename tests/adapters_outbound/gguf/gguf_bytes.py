"""GGUF files by hand, right or wrong. It shares nothing with reader or writer."""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from domain.errors import ModelLoadFailed

Refusal = Callable[[bytes], ModelLoadFailed]

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
TOO_LARGE = [2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1]


def u32(number: int) -> bytes:
    return struct.pack("<I", number)


def u64(number: int) -> bytes:
    return struct.pack("<Q", number)


def string(text: str | bytes, *, length: int | None = None) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return u64(len(data) if length is None else length) + data


def pair(key: str | bytes, value_type: int, value: bytes, *, key_length: int | None = None) -> bytes:
    return string(key, length=key_length) + u32(value_type) + value


def array(item_type: int, items: Sequence[bytes], *, count: int | None = None) -> bytes:
    return u32(item_type) + u64(len(items) if count is None else count) + b"".join(items)


def tensor(
    name: str | bytes = "w",
    dims: Sequence[int] = (8,),
    *,
    kind: int = 0,
    offset: int = 0,
    num_dims: int | None = None,
    name_length: int | None = None,
) -> bytes:
    header = string(name, length=name_length) + u32(len(dims) if num_dims is None else num_dims)
    return header + b"".join(map(u64, dims)) + u32(kind) + u64(offset)


@dataclass(frozen=True, slots=True)
class GgufBytes:
    """The parts of a file. Without arguments: one pair, one tensor of eight F32, all right."""

    pairs: Sequence[bytes] = (pair("general.architecture", STRING, string("llama")),)
    tensors: Sequence[bytes] = field(default_factory=lambda: (tensor(),))
    data: bytes = bytes(32)
    magic: bytes = b"GGUF"
    version: int = 3
    num_tensors: int | None = None
    num_pairs: int | None = None
    alignment: int = 32

    @property
    def header(self) -> bytes:
        num_tensors = len(self.tensors) if self.num_tensors is None else self.num_tensors
        num_pairs = len(self.pairs) if self.num_pairs is None else self.num_pairs
        start = self.magic + u32(self.version) + u64(num_tensors) + u64(num_pairs)
        return start + b"".join(self.pairs) + b"".join(self.tensors)

    def build(self) -> bytes:
        header = self.header
        return header + bytes(-len(header) % self.alignment) + self.data


def with_pair(*pairs: bytes) -> bytes:
    return GgufBytes(pairs=pairs).build()


def with_tensor(*tensors: bytes, size: int = 32) -> bytes:
    return GgufBytes(tensors=tensors, data=bytes(size)).build()


def every_feature() -> GgufBytes:
    """All value types, all array types, several tensors of several types."""
    scalars = {
        U8: "B",
        I8: "b",
        U16: "H",
        I16: "h",
        U32: "I",
        I32: "i",
        F32: "f",
        U64: "Q",
        I64: "q",
        F64: "d",
    }
    numbers = [pair(f"scalar.{code}", kind, struct.pack(f"<{code}", 7)) for kind, code in scalars.items()]
    arrays = [
        pair(f"array.{code}", ARRAY, array(kind, [struct.pack(f"<{code}", i) for i in range(3)]))
        for kind, code in scalars.items()
    ]
    texts = [
        pair("general.architecture", STRING, string("llama")),
        pair("text", STRING, string("Grüße\n🙂")),
        pair("yes", BOOL, b"\1"),
        pair("flags", ARRAY, array(BOOL, [b"\1", b"\0"])),
        pair("words", ARRAY, array(STRING, [string("a"), string(""), string("Ġb")])),
    ]
    tensors = [
        tensor("f32", (3, 2)),  # 24 bytes
        tensor("q4_0", (32, 2, 2), kind=2, offset=32),  # 72 bytes
        tensor("q6_k", (256, 1, 1, 1), kind=14, offset=128),  # 210 bytes
    ]
    return GgufBytes(pairs=texts + numbers + arrays, tensors=tensors, data=bytes(range(256)) + bytes(96))
