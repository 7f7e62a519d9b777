"""What our reader accepts, the gguf package reads as the same."""

import random
import struct
from pathlib import Path

import gguf
import numpy as np
import pytest

from adapters_outbound.gguf.opener import GgufModelFileOpener
from ports.model_file import MetadataValue
from ports.tensor_types import TensorType
from tests.adapters_outbound.gguf.gguf_bytes import (
    ARRAY,
    BOOL,
    STRING,
    U32,
    GgufBytes,
    array,
    every_feature,
    pair,
    string,
    tensor,
    u32,
)

pytestmark = pytest.mark.req("M0-W-1211")

CODES = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 10: "Q", 11: "q", 12: "d"}
LETTERS = "aäĠ▁🙂 \n"


def random_value(rng: random.Random) -> tuple[int, bytes]:
    kind = rng.choice([*CODES, BOOL, STRING])
    if rng.random() < 0.5:
        return kind, item(rng, kind)
    return ARRAY, array(kind, [item(rng, kind) for _ in range(rng.randrange(1, 9))])


def item(rng: random.Random, kind: int) -> bytes:
    if kind == STRING:
        return string("".join(rng.choices(LETTERS, k=rng.randrange(9))))
    if kind == BOOL:
        return bytes([rng.randrange(2)])
    return struct.pack(f"<{CODES[kind]}", rng.randrange(100))


def random_file(seed: int) -> bytes:
    rng = random.Random(seed)
    alignment = rng.choice([8, 32, 128])
    pairs = [pair("general.alignment", U32, u32(alignment))]
    pairs += [pair(f"key.{i}", *random_value(rng)) for i in range(rng.randrange(12))]
    tensors, size = [], 0
    for i in range(rng.randrange(1, 8)):
        kind = rng.choice(list(TensorType))
        dims = [kind.block.num_elements * rng.randrange(1, 4), *rng.choices([1, 2, 3], k=rng.randrange(4))]
        tensors.append(tensor(f"blk.{i}.weight", dims, kind=kind, offset=size))
        size += int(np.prod(dims[1:])) * kind.row_bytes(dims[0])
        size += -size % alignment
    return GgufBytes(pairs=pairs, tensors=tensors, data=rng.randbytes(size), alignment=alignment).build()


def plain(value: MetadataValue) -> object:
    return value.tolist() if isinstance(value, np.ndarray) else value


def assert_both_read_the_same(path: Path) -> None:
    ours, theirs = GgufModelFileOpener().open(str(path)), gguf.GGUFReader(path)

    their_fields = {name: f.contents() for name, f in theirs.fields.items() if not name.startswith("GGUF.")}
    assert their_fields == {key: plain(value) for key, value in ours.metadata.items()}
    assert [(t.name, t.tensor_type.value, t.shape.tolist(), t.data_offset) for t in theirs.tensors] == [
        (t.name, t.type.value, list(reversed(t.shape)), t.offset_bytes) for t in ours.tensors.values()
    ]
    for their, our in zip(theirs.tensors, ours.tensors.values(), strict=True):
        assert their.data.tobytes() == bytes(ours.read(our, offset_bytes=0, size_bytes=our.size_bytes))


def test_a_file_with_every_feature_reads_the_same(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(every_feature().build())

    assert_both_read_the_same(tmp_path / "m.gguf")


@pytest.mark.parametrize("seed", range(40))
def test_a_random_file_reads_the_same(tmp_path: Path, seed: int) -> None:
    (tmp_path / "m.gguf").write_bytes(random_file(seed))

    assert_both_read_the_same(tmp_path / "m.gguf")
