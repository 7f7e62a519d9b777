"""The keys that the reader itself heeds: alignment and parts."""

from collections.abc import Callable

import pytest

from adapters_outbound.gguf.model_file import GgufModelFile
from tests.adapters_outbound.gguf.gguf_bytes import (
    ARRAY,
    BOOL,
    I32,
    STRING,
    U32,
    U64,
    GgufBytes,
    Refusal,
    array,
    pair,
    string,
    u32,
    u64,
    with_pair,
)

pytestmark = pytest.mark.req("M0-W-1210", "M0-W-1211")

Open = Callable[[bytes], GgufModelFile]


@pytest.mark.parametrize("alignment", [0, 1, 3, 4, 13, 48, 2**17, 2**31])
def test_an_alignment_that_is_no_power_of_two_from_8_to_64_kib_is_refused(
    refusal: Refusal, alignment: int
) -> None:
    error = refusal(with_pair(pair("general.alignment", U32, u32(alignment))))

    assert (
        f"general.alignment at byte 53: expected a power of two, 8 to 65536, got {alignment}" in error.message
    )


@pytest.mark.parametrize(
    ("value_type", "value"),
    [(I32, u32(32)), (U64, u64(32)), (STRING, string("32")), (ARRAY, array(U32, [u32(32)])), (BOOL, b"\1")],
)
def test_an_alignment_of_another_type_is_refused(refusal: Refusal, value_type: int, value: bytes) -> None:
    error = refusal(with_pair(pair("general.alignment", value_type, value)))

    assert f"type of general.alignment at byte 49: expected 4 (u32), got {value_type}" in error.message


@pytest.mark.parametrize("alignment", [8, 64, 65_536])
def test_the_data_starts_where_the_alignment_says(open_bytes: Open, alignment: int) -> None:
    pairs = [pair("general.alignment", U32, u32(alignment))]

    file = open_bytes(GgufBytes(pairs=pairs, data=b"x" * 32, alignment=alignment).build())

    assert 0 == file.tensors["w"].offset_bytes % alignment
    assert b"x" * 32 == bytes(file.read(file.tensors["w"], offset_bytes=0, size_bytes=32))


def test_one_part_of_a_split_model_is_refused(refusal: Refusal) -> None:
    error = refusal(with_pair(pair("split.count", 2, b"\3\0")))

    assert "split.count: expected 1 (join the parts with llama-gguf-split --merge), got 3" in error.message
