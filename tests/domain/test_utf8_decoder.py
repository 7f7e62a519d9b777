"""Bytes to text, however they are cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.utf8_decoder import Utf8Decoder

pytestmark = pytest.mark.req("M0-W-1361", "M0-W-1362", "M0-W-1811")

# bytes that often meet: whole characters, pieces of them, and bytes that are never UTF-8
WHOLE = (b"a", b"(", b"\x00", "é".encode(), "€".encode(), "🦙".encode(), "\ufffd".encode())
BROKEN = (
    b"\xe2\x82",
    b"\x82",
    b"\xf0\x9f",
    b"\xed\xa0\x80",
    b"\xc0\x80",
    b"\xff",
    b"\xf5",
    b"\xf4\x90",
    b"\xe0\x80",
)
PIECES = st.sampled_from(WHOLE + BROKEN)
DATA = st.one_of(st.binary(max_size=40), st.lists(PIECES, max_size=12).map(b"".join))


def decode_in_pieces(pieces: list[bytes]) -> str:
    decoder = Utf8Decoder()
    return "".join(decoder.feed(piece) for piece in pieces) + decoder.finish()


def cut(data: bytes, at: list[int]) -> list[bytes]:
    bounds = [0, *sorted(min(position, len(data)) for position in at), len(data)]
    return [data[start:end] for start, end in pairwise(bounds)]


@given(data=DATA, at=st.lists(st.integers(0, 40), max_size=8))
def test_any_cut_of_any_bytes_gives_the_text_that_python_gives(data: bytes, at: list[int]) -> None:
    actual = decode_in_pieces(cut(data, at))

    assert data.decode("utf-8", "ignore") == actual


@given(text=st.text(max_size=20))
def test_text_passes_unchanged_byte_by_byte(text: str) -> None:
    actual = decode_in_pieces([bytes([byte]) for byte in text.encode()])

    assert text == actual


def test_a_split_character_waits_for_its_last_byte() -> None:
    decoder = Utf8Decoder()

    assert ["", "", "", "🦙"] == [decoder.feed(bytes([byte])) for byte in "🦙".encode()]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"\xe2\x28\xa1", "(", id="a character broken off by ASCII"),
        pytest.param(b"\xe2\x82\xe2\x82\xac", "€", id="a character broken off by the next one"),
        pytest.param(b"a\xff\xfeb", "ab", id="bytes that are never UTF-8"),
        pytest.param(b"\xc0\xaf!", "!", id="overlong"),
        pytest.param(b"\xed\xa0\x80x", "x", id="surrogate"),
        pytest.param(b"\xf4\x90\x80\x80x", "x", id="beyond Unicode"),
        pytest.param(b"\x80\x80x", "x", id="continuation without a start"),
        pytest.param(b"a\x00b", "a\x00b", id="NUL is a character"),
    ],
)
def test_invalid_bytes_are_dropped_and_their_neighbours_kept(data: bytes, expected: str) -> None:
    assert expected == decode_in_pieces([bytes([byte]) for byte in data])


def test_a_replacement_character_in_the_bytes_passes_and_none_is_made_up() -> None:
    assert "\ufffd" == decode_in_pieces([b"\xef\xbf", b"\xbd\xff\xe2\x82"])


def test_bytes_incomplete_at_the_end_are_dropped_and_do_not_reach_the_next_stream() -> None:
    decoder = Utf8Decoder()
    decoder.feed(b"\xf0\x9f")

    assert "" == decoder.finish()
    assert "" == decoder.feed(b"\xa6\x99")
