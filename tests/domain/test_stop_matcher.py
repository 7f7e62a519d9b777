"""Stop sequences in streamed text."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.stop_matcher import StopMatcher

pytestmark = pytest.mark.req("M0-W-1422")

# few letters, so that stops overlap, nest and repeat
TEXTS = st.text(alphabet="ab", max_size=30)
STOPS = st.lists(st.text(alphabet="ab", min_size=1, max_size=6), max_size=4)


def search(text: str, stops: list[str]) -> tuple[str, str | None]:
    """The oracle: try every end from the left, longest stop first."""
    for end in range(1, len(text) + 1):
        for stop in sorted(stops, key=len, reverse=True):
            if text[:end].endswith(stop):
                return text[: end - len(stop)], stop
    return text, None


def undecided(text: str, stops: list[str]) -> int:
    """The oracle: how much of the end of `text` begins some stop."""
    return max(
        (size for stop in stops for size in range(len(stop)) if text.endswith(stop[:size])),
        default=0,
    )


def feed_in_pieces(matcher: StopMatcher, text: str, at: list[int]) -> str:
    bounds = [0, *sorted(min(position, len(text)) for position in at), len(text)]
    return "".join(matcher.feed(text[start:end]) for start, end in pairwise(bounds))


@given(text=TEXTS, stops=STOPS, at=st.lists(st.integers(0, 30), max_size=8))
def test_any_cut_emits_and_matches_what_a_search_of_the_whole_text_does(
    text: str, stops: list[str], at: list[int]
) -> None:
    matcher = StopMatcher(stops)

    emitted = feed_in_pieces(matcher, text, at) + matcher.finish()

    assert search(text, stops) == (emitted, matcher.matched)


@given(text=TEXTS, stops=STOPS)
def test_only_the_longest_end_that_begins_a_stop_is_held_back(text: str, stops: list[str]) -> None:
    matcher = StopMatcher(stops)

    emitted = "".join(matcher.feed(character) for character in text)

    before, matched = search(text, stops)
    expected = before if matched else text[: len(text) - undecided(text, stops)]
    assert expected == emitted


def test_without_stops_all_text_passes_at_once() -> None:
    assert "anything" == StopMatcher([]).feed("anything")


def test_a_stop_across_pieces_is_found_and_neither_it_nor_what_follows_is_emitted() -> None:
    matcher = StopMatcher(["\nUser:"])

    emitted = [matcher.feed(piece) for piece in ("Hi", " there\n", "Us", "er: next", "more")]

    assert ["Hi", " there", "", "", ""] == emitted
    assert "\nUser:" == matcher.matched
    assert "" == matcher.finish()


def test_text_held_back_is_given_once_it_cannot_become_a_stop() -> None:
    matcher = StopMatcher(["END"])

    assert ["", "", "ENx"] == [matcher.feed(piece) for piece in ("E", "N", "x")]
    assert matcher.matched is None


def test_text_held_back_is_flushed_at_the_end() -> None:
    matcher = StopMatcher(["END"])
    matcher.feed("the EN")

    assert "EN" == matcher.finish()
    assert matcher.matched is None


def test_the_stop_that_completes_first_wins_over_one_that_starts_earlier() -> None:
    matcher = StopMatcher(["abcd", "bc"])

    assert "xa" == matcher.feed("xabcd")
    assert "bc" == matcher.matched


def test_of_stops_that_complete_together_the_longest_wins() -> None:
    matcher = StopMatcher(["c", "bc", "abc"])

    assert "x" == matcher.feed("xabc")
    assert "abc" == matcher.matched


def test_an_empty_stop_is_refused() -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        StopMatcher(["a", ""])


def test_stops_that_repeat_themselves_cost_no_more_than_others() -> None:
    matcher = StopMatcher(["a" * 2000 + "b", "a" * 1999 + "c"])
    started = time.perf_counter()

    emitted = "".join(matcher.feed("aaaaaaaa") for _ in range(2048)) + matcher.feed("xb")

    assert "a" * 16384 + "xb" == emitted
    # a search that starts over at each character makes 30 million comparisons here and takes seconds
    assert time.perf_counter() - started < 1.0
