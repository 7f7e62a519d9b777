"""Broken files: one kind of error, little memory, no time."""

import random
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters_outbound.gguf.model_file import GgufModelFile
from adapters_outbound.gguf.opener import GgufModelFileOpener
from domain.errors import ModelLoadFailed
from tests.adapters_outbound.gguf.gguf_bytes import GgufBytes, every_feature, pair, tensor, u32, u64

pytestmark = pytest.mark.req("M0-W-1210")

NUM_MUTANTS = 4_000
NUMBERS = [0, 1, 2, 3, 5, 7, 8, 9, 12, 13, 31, 32, 33, 64, 65, 255, 256, 2**16, 2**31 - 1, 2**31, 2**32 - 1]
LARGE_NUMBERS = [2**32, 2**32 + 1, 2**61, 2**62, 2**63 - 1, 2**63, 2**64 - 32, 2**64 - 8, 2**64 - 1]


def opened(path: Path, data: bytes) -> GgufModelFile | None:
    """The file, or None where it is refused; any other error is the test's failure."""
    path.write_bytes(data)
    try:
        return GgufModelFileOpener().open(str(path))
    except ModelLoadFailed as error:
        message = error.message
    assert message.isprintable()
    assert len(message) < 1000
    return None


def mutants(data: bytes, header_bytes: int) -> Iterator[bytes]:
    """Numbers overwritten, bytes flipped, stretches cut out, doubled or moved; mostly in the header."""
    rng = random.Random(2024)
    for _ in range(NUM_MUTANTS):
        mutant = bytearray(data)
        for _ in range(rng.choice([1, 1, 1, 2, 4])):
            at = rng.randrange(header_bytes)
            match rng.randrange(5):
                case 0:
                    mutant[at : at + 4] = u32(rng.choice(NUMBERS))
                case 1:
                    mutant[at : at + 8] = u64(rng.choice(NUMBERS + LARGE_NUMBERS))
                case 2:
                    mutant[at] ^= 1 << rng.randrange(8)
                case 3:
                    del mutant[at : at + rng.randrange(1, 40)]
                case _:
                    mutant[at:at] = mutant[at : at + rng.randrange(1, 40)]
        yield bytes(mutant)


def test_a_file_cut_at_any_byte_of_its_header_or_data_is_refused(tmp_path: Path) -> None:
    pairs = [pair("general.architecture", 8, u64(5) + b"llama"), pair("n", 4, u32(1))]
    data = GgufBytes(
        pairs=pairs, tensors=[tensor(), tensor("v", (32,), kind=8, offset=32)], data=bytes(66)
    ).build()

    accepted = [size for size in range(len(data)) if opened(tmp_path / "m.gguf", data[:size])]

    assert [] == accepted


def test_a_large_header_cut_at_any_byte_is_refused(tmp_path: Path) -> None:
    header = every_feature().header

    accepted = [size for size in range(len(header)) if opened(tmp_path / "m.gguf", header[:size])]

    assert [] == accepted


def test_a_mutant_is_refused_or_all_its_tensors_can_be_read(tmp_path: Path) -> None:
    valid = every_feature()
    num_accepted = 0

    for mutant in mutants(valid.build(), len(valid.header)):
        if file := opened(tmp_path / "m.gguf", mutant):
            num_accepted += 1
            for info in file.tensors.values():
                assert info.size_bytes == len(
                    bytes(file.read(info, offset_bytes=0, size_bytes=info.size_bytes))
                )
            file.close()

    assert 0 < num_accepted < NUM_MUTANTS / 2


def test_no_mutant_makes_the_reader_allocate_what_the_file_does_not_hold(tmp_path: Path) -> None:
    valid = every_feature()
    most_bytes = 0

    tracemalloc.start()
    try:
        for mutant in list(mutants(valid.build(), len(valid.header)))[:1000]:
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            opened(tmp_path / "m.gguf", mutant)
            most_bytes = max(most_bytes, tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()

    assert most_bytes < 500_000
