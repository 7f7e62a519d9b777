"""Keys, values, strings, arrays, alignment."""

import math
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from adapters_outbound.gguf.metadata import MAX_ITEMS
from adapters_outbound.gguf.model_file import GgufModelFile
from adapters_outbound.gguf.opener import GgufModelFileOpener
from domain.errors import ModelLoadFailed
from tests.adapters_outbound.gguf.gguf_bytes import (
    ARRAY,
    BOOL,
    F32,
    F64,
    I8,
    I32,
    STRING,
    TOO_LARGE,
    U8,
    U32,
    U64,
    GgufBytes,
    Refusal,
    array,
    every_feature,
    pair,
    string,
    u32,
    u64,
    with_pair,
)

pytestmark = pytest.mark.req("M0-W-1210", "M0-W-1211")

Open = Callable[[bytes], GgufModelFile]
ONE = u32(1)


def test_every_value_type_is_read(open_bytes: Open) -> None:
    metadata = open_bytes(every_feature().build()).metadata

    assert [7, 7, 7, 7, 7, 7, 7.0, 7, 7, 7.0] == [metadata[f"scalar.{code}"] for code in "BbHhIifQqd"]
    assert (True, "Grüße\n🙂", ["a", "", "Ġb"]) == (metadata["yes"], metadata["text"], metadata["words"])
    assert bool is type(metadata["yes"])


@pytest.mark.parametrize("code", "BbHhIifQqd")
def test_an_array_of_numbers_keeps_its_element_type(open_bytes: Open, code: str) -> None:
    values = open_bytes(every_feature().build()).metadata[f"array.{code}"]

    assert isinstance(values, np.ndarray)
    assert np.dtype(f"<{code}") == values.dtype
    assert [0, 1, 2] == values.tolist()


def test_an_array_of_bools_is_one_of_bools(open_bytes: Open) -> None:
    flags = open_bytes(every_feature().build()).metadata["flags"]

    assert isinstance(flags, np.ndarray)
    assert ("bool", [True, False]) == (flags.dtype.name, flags.tolist())


@pytest.mark.parametrize("item_type", [U8, F64, BOOL, STRING])
def test_an_empty_array_is_read(open_bytes: Open, item_type: int) -> None:
    values = open_bytes(with_pair(pair("key", ARRAY, array(item_type, [])))).metadata["key"]

    assert [] == list(values)  # type: ignore[arg-type]  # an array, by the pair's type


def test_metadata_cannot_be_changed(open_bytes: Open) -> None:
    metadata = open_bytes(every_feature().build()).metadata

    with pytest.raises(TypeError):
        metadata["yes"] = False  # type: ignore[index]  # that is the point
    with pytest.raises(ValueError, match="read-only"):
        metadata["array.i"][0] = 9  # type: ignore[index, call-overload]  # likewise


@pytest.mark.parametrize("bits", [struct.pack("<f", x) for x in (math.nan, math.inf, -math.inf)])
def test_a_number_that_is_not_finite_is_the_architectures_business(open_bytes: Open, bits: bytes) -> None:
    value = open_bytes(with_pair(pair("key", F32, bits))).metadata["key"]

    assert isinstance(value, float)
    assert not math.isfinite(value)


@pytest.mark.parametrize("length", [0, 65_536, 2**32, *TOO_LARGE])
def test_a_key_of_no_or_too_many_bytes_is_refused(refusal: Refusal, length: int) -> None:
    error = refusal(with_pair(pair("key", U32, ONE, key_length=length)))

    assert f"length of key of pair 0 at byte 24: expected 1 to 65535, got {length}" in error.message


def test_the_longest_key_is_read(open_bytes: Open) -> None:
    file = open_bytes(with_pair(pair("k" * 65_535, U32, ONE)))

    assert ["k" * 65_535] == list(file.metadata)


@pytest.mark.parametrize("length", [16 * 2**20 + 1, *TOO_LARGE])
def test_a_string_longer_than_any_is_refused(refusal: Refusal, length: int) -> None:
    error = refusal(with_pair(pair("key", STRING, string("text", length=length))))

    assert f"length of 'key' at byte 39: expected 0 to 16777216, got {length}" in error.message


def test_a_string_that_ends_after_the_file_is_refused(refusal: Refusal) -> None:
    whole = with_pair(pair("key", STRING, string("text")))
    left = len(whole) - 47

    error = refusal(with_pair(pair("key", STRING, string("text", length=left + 1))))

    assert f"'key' at byte 47: expected {left + 1} bytes, got {left} left in the file" in error.message


@pytest.mark.parametrize("length", TOO_LARGE)
def test_a_string_in_an_array_that_is_too_long_is_refused(refusal: Refusal, length: int) -> None:
    items = [string("one"), string("two", length=length)]

    error = refusal(with_pair(pair("key", ARRAY, array(STRING, items))))

    assert "length of item 1 of 'key' at byte 62: expected at most" in error.message


def test_an_array_of_strings_that_the_file_ends_in_is_refused(refusal: Refusal) -> None:
    pairs = [pair("key", ARRAY, array(STRING, [string("x" * 90)], count=3))]
    data = GgufBytes(pairs=pairs, tensors=[], num_tensors=1).header + bytes(3)

    error = refusal(data)

    assert "length of item 1 of 'key' at byte 149: expected 8 bytes, got 3 left" in error.message


NOT_UTF8 = [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"]


@pytest.mark.parametrize("text", NOT_UTF8)
def test_text_that_is_no_utf8_is_refused_wherever_it_is(refusal: Refusal, text: bytes) -> None:
    key = refusal(with_pair(pair(b"k" + text, U32, ONE)))
    value = refusal(with_pair(pair("key", STRING, string(b"v" + text))))
    item = refusal(with_pair(pair("key", ARRAY, array(STRING, [string("a"), string(b"i" + text)]))))

    assert "key of pair 0 at byte 33: expected UTF-8" in key.message
    assert "'key' at byte 48: expected UTF-8" in value.message
    assert "item 1 of 'key' at byte 69: expected UTF-8" in item.message


@pytest.mark.parametrize("text", ["a\0b", "a\nb", "\x1b[31mred", "a\u202eb", "\u200b"])
def test_a_key_with_a_character_that_does_not_print_is_refused_and_shown_escaped(
    refusal: Refusal, text: str
) -> None:
    error = refusal(with_pair(pair(text, U32, ONE)))

    assert "key of pair 0 at byte 32: expected printable characters" in error.message
    assert error.message.isprintable()


def test_a_value_may_hold_any_character(open_bytes: Open) -> None:
    text = "\0\n\x1b[31m\u202e../"

    file = open_bytes(with_pair(pair("key", STRING, string(text)), pair("../key", U32, ONE)))

    assert text == file.metadata["key"]


def test_text_of_the_file_is_cut_before_it_goes_into_a_message(refusal: Refusal) -> None:
    error = refusal(with_pair(pair("k" * 5000, 13, ONE)))

    assert "(5000 long)" in error.message
    assert len(error.message) < 500


def test_a_key_that_is_there_twice_is_refused(refusal: Refusal) -> None:
    error = refusal(with_pair(pair("key", U32, ONE), pair("key", U32, ONE)))

    assert "key of pair 1 at byte 43: expected a key not used before, got 'key'" in error.message


@pytest.mark.parametrize("value_type", [13, 255, 2**32 - 1])
def test_an_unknown_value_type_is_refused(refusal: Refusal, value_type: int) -> None:
    value = refusal(with_pair(pair("key", value_type, ONE)))
    item = refusal(with_pair(pair("key", ARRAY, array(value_type, [ONE]))))

    assert f"type of 'key' at byte 35: expected 0 to 12, got {value_type}" in value.message
    assert "item type of 'key' at byte 39: expected a number, bool or string type" in item.message


@pytest.mark.parametrize("depth", [1, 2, 6_000])
def test_arrays_in_arrays_are_refused_at_any_depth(refusal: Refusal, depth: int) -> None:
    value = array(U32, [ONE])
    for _ in range(depth):
        value = array(ARRAY, [value])

    error = refusal(with_pair(pair("key", ARRAY, value)))

    assert "item type of 'key' at byte 39" in error.message
    assert "got 9" in error.message


@pytest.mark.parametrize("byte", [2, 255])
def test_a_bool_is_0_or_1(refusal: Refusal, byte: int) -> None:
    value = refusal(with_pair(pair("key", BOOL, bytes([byte]))))
    item = refusal(with_pair(pair("key", ARRAY, array(BOOL, [b"\1", bytes([byte])]))))

    assert f"bool of 'key' at byte 39: expected 0 or 1, got {byte}" in value.message
    assert f"bool of 'key' at byte 52: expected 0 or 1, got {byte}" in item.message


@pytest.mark.parametrize("item_type", [U8, I8, I32, F32, BOOL, STRING, U64, F64])
@pytest.mark.parametrize("count", TOO_LARGE)
def test_an_array_count_that_cannot_fit_is_refused(refusal: Refusal, item_type: int, count: int) -> None:
    error = refusal(with_pair(pair("key", ARRAY, array(item_type, [u64(0)], count=count))))

    assert "item count of 'key' at byte 43: expected at most" in error.message
    assert f"got {count}" in error.message


def test_more_items_than_any_vocabulary_has_are_refused_before_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(with_pair(pair("key", ARRAY, array(STRING, [], count=MAX_ITEMS + 1))))
    with path.open("r+b") as file:
        file.truncate(2**40)  # sparse: as many empty strings as one likes

    expected = f"at most {MAX_ITEMS}, for all arrays may have {MAX_ITEMS} items together, got {MAX_ITEMS + 1}"
    with pytest.raises(ModelLoadFailed, match=f"item count of 'key' at byte 43: expected {expected}"):
        GgufModelFileOpener().open(str(path))


def test_the_items_of_all_arrays_are_counted_together(open_bytes: Open, refusal: Refusal) -> None:
    half = [bytes(MAX_ITEMS // 2)]
    arrays = [pair(key, ARRAY, array(U8, half, count=MAX_ITEMS // 2)) for key in ("a", "b")]

    assert MAX_ITEMS // 2 == len(open_bytes(with_pair(*arrays)).metadata["b"])  # type: ignore[arg-type]  # so
    error = refusal(with_pair(*arrays, pair("c", ARRAY, array(U8, [b"\0"]))))
    assert "item count of 'c' at byte" in error.message
    assert f"expected at most 0, for all arrays may have {MAX_ITEMS} items together, got 1" in error.message
