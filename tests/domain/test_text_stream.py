"""Token ids to fragments of text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.text_stream import Fragment, TextStream

pytestmark = pytest.mark.req("M0-W-1310", "M0-W-1362", "M0-W-1422")

LLAMA = "🦙".encode()
VOCABULARY = (
    b"",
    b"a",
    b"b",
    b"ab",
    b"bab",
    LLAMA[:2],
    LLAMA[2:],
    b"x" + LLAMA[:1],
    LLAMA[1:] + b"a",
    b"\xff",
)
STOPS = st.lists(st.sampled_from(["a", "ab", "ba", "aba", "🦙a", "bb🦙"]), max_size=3, unique=True)
IDS = st.lists(st.integers(0, len(VOCABULARY) - 1), max_size=20)


def stream_of(*vocabulary: bytes, stops: list[str]) -> TextStream:
    return TextStream(lambda token_id: vocabulary[token_id], stops)


def run(stream: TextStream, token_ids: list[int]) -> list[Fragment]:
    made = [stream.push(token_id) for token_id in token_ids] + [stream.finish()]
    return [fragment for fragment in made if fragment is not None]


def decode(token_ids: tuple[int, ...]) -> str:
    return b"".join(VOCABULARY[token_id] for token_id in token_ids).decode("utf-8", "ignore")


def test_a_token_is_a_fragment_when_nothing_holds_it_back() -> None:
    stream = stream_of(b"Hello", b" world", stops=[])

    assert Fragment("Hello", (0,)) == stream.push(0)
    assert Fragment(" world", (1,)) == stream.push(1)
    assert stream.finish() is None
    assert () == stream.pending_ids


def test_a_character_split_over_tokens_is_one_fragment_that_settles_them_all() -> None:
    stream = stream_of(LLAMA[:1], LLAMA[1:3], LLAMA[3:], stops=[])

    assert [None, None, Fragment("🦙", (0, 1, 2))] == [stream.push(token_id) for token_id in range(3)]


def test_an_id_without_text_is_settled_by_the_next_fragment() -> None:
    stream = stream_of(b"", b"a", stops=[])

    assert [None, Fragment("a", (0, 1))] == [stream.push(0), stream.push(1)]


def test_a_token_emitted_in_two_parts_is_settled_by_the_second() -> None:
    stream = stream_of(b"the EN", b"x", stops=["END"])

    assert [Fragment("the ", ()), Fragment("ENx", (0, 1))] == [stream.push(0), stream.push(1)]


def test_text_before_a_stop_is_emitted_and_the_ids_of_the_stop_stay_pending() -> None:
    stream = stream_of(b"Hi", b" E", b"ND", stops=["END"])

    assert [Fragment("Hi", (0,)), Fragment(" ", ()), None] == [stream.push(token_id) for token_id in range(3)]
    assert "END" == stream.stopped
    assert (1, 2) == stream.pending_ids
    assert stream.finish() is None


def test_an_id_pushed_after_a_stop_is_forgotten() -> None:
    stream = stream_of(b"a", b"b", stops=["a"])

    assert [None, None] == [stream.push(0), stream.push(1)]
    assert (0,) == stream.pending_ids


def test_the_end_flushes_text_held_back() -> None:
    stream = stream_of(b"EN", stops=["END"])

    assert [Fragment("EN", (0,))] == run(stream, [0])
    assert () == stream.pending_ids
    assert stream.stopped is None


def test_text_held_back_keeps_its_id_pending() -> None:
    stream = stream_of(b"EN", stops=["END"])

    assert stream.push(0) is None
    assert (0,) == stream.pending_ids


def test_an_incomplete_character_at_the_end_is_dropped_and_its_id_stays_pending() -> None:
    stream = stream_of(b"a", LLAMA[:3], stops=[])

    assert [Fragment("a", (0,))] == run(stream, [0, 1])
    assert (1,) == stream.pending_ids


@given(token_ids=IDS, stops=STOPS)
def test_fragments_and_pending_ids_together_are_the_ids_pushed_each_once(
    token_ids: list[int], stops: list[str]
) -> None:
    stream = stream_of(*VOCABULARY, stops=stops)
    settled: list[int] = []
    pushed = 0
    for token_id in token_ids:
        fragment = stream.push(token_id)
        settled += fragment.token_ids if fragment else ()
        pushed += 1
        if stream.stopped:
            break
    last = stream.finish()
    settled += last.token_ids if last else ()

    assert token_ids[:pushed] == [*settled, *stream.pending_ids]


@given(token_ids=IDS, stops=STOPS)
def test_fragments_are_never_empty_and_join_to_the_text_before_the_stop(
    token_ids: list[int], stops: list[str]
) -> None:
    stream = stream_of(*VOCABULARY, stops=stops)

    fragments = run(stream, token_ids)

    text = "".join(fragment.text for fragment in fragments)
    whole = decode(tuple(token_ids))
    assert all(fragment.text for fragment in fragments)
    assert whole.startswith(text + (stream.stopped or ""))
    assert stream.stopped or whole == text


@given(token_ids=IDS, stops=STOPS)
def test_the_ids_settled_so_far_never_say_more_than_the_text_sent_so_far(
    token_ids: list[int], stops: list[str]
) -> None:
    stream = stream_of(*VOCABULARY, stops=stops)
    text = ""
    settled: tuple[int, ...] = ()

    for fragment in run(stream, token_ids):
        text += fragment.text
        settled += fragment.token_ids
        assert text.startswith(decode(settled))
