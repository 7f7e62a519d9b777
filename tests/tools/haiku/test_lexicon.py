"""The lexicon counts as a dictionary does, and the checker never flatters."""

import pytest

from tools.haiku.inflect import article, participle, third_person, with_s
from tools.haiku.lexicon import (
    count_syllables,
    estimate_syllables,
    given_syllables,
    is_haiku,
    load_lexicon,
    noun_forms,
    verb_forms,
)
from tools.haiku.word_tables import read_themes, read_topics

# counted by hand with a dictionary
KNOWN = {
    "rain": 1, "river": 2, "butterfly": 3, "caterpillar": 4, "moonlight": 2, "leaves": 1, "bridges": 2,
    "branches": 2, "processor": 3, "silicon": 3, "GPU": 3, "algorithm": 4, "memories": 3, "echoes": 2,
    "matrices": 3, "geese": 1, "chrysanthemum": 4, "museum": 3, "quiet": 2, "mysterious": 4, "rises": 2,
    "whispers": 2, "humming": 2, "rustles": 2, "awaken": 3, "silently": 3, "beneath": 2, "zero": 2,
    "seven": 2, "eleven": 3, "twelve": 1, "thirteen": 2, "seventeen": 3, "twenty": 2, "twenty-seven": 4,
    "forty-two": 3, "fifty-nine": 3, "stadium": 3, "scientist": 3, "poem": 2, "idea": 3, "violin": 3,
}  # fmt: skip


@pytest.mark.parametrize(("word", "syllables"), KNOWN.items())
def test_a_word_has_the_syllables_a_dictionary_gives_it(word: str, syllables: int) -> None:
    assert syllables == count_syllables(word)


def test_all_number_words_from_zero_to_fifty_nine_are_known() -> None:
    numbers = load_lexicon().numbers

    assert len(numbers) == 60
    assert all(count_syllables(word) == count for word, count in numbers.items())


def test_an_entry_of_several_words_counts_as_the_sum_of_its_words() -> None:
    lexicon = load_lexicon()
    entries = [form for noun in lexicon.nouns for form in noun_forms(noun)]
    entries += [form for verb in lexicon.verbs for form in verb_forms(verb)]
    entries += [(place.text, place.syllables) for place in lexicon.places]
    entries += [(phrase.text, phrase.syllables) for phrase in lexicon.phrases]

    assert [] == [(text, count) for text, count in entries if count_syllables(text) != count]


def test_no_noun_is_listed_twice() -> None:
    texts = [noun.text for noun in load_lexicon().nouns]

    assert len(set(texts)) == len(texts)


def test_every_topic_has_a_theme_and_keywords_of_the_lexicon() -> None:
    nouns, themes = frozenset(noun.text for noun in load_lexicon().nouns), read_themes()
    topics = read_topics(nouns)

    assert len(topics) > 300
    assert "GPU computing" in [topic.text for topic in topics]
    assert [] == [t for t in topics if t.theme not in themes or not nouns.issuperset(t.keywords)]


def test_every_theme_borrows_from_themes_that_exist() -> None:
    themes = read_themes()

    assert {other for related in themes.values() for other in related} <= set(themes)


def test_three_lines_of_five_seven_five_are_a_haiku() -> None:
    assert is_haiku("a raindrop at dawn\nthe river runs past the bridge\nthe old heron waits")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a raindrop at dawn\nthe river runs past the bridge",
        "a raindrop at dawn\nthe river runs past the bridge\nthe old heron waits\n",
        "\na raindrop at dawn\nthe river runs past the bridge\nthe old heron waits",
        "a raindrop at dawn\nthe river runs past a bridge now\nthe old heron waits",
        "a raindrop at dawn\nthe river runs past the bridge\nthe xylograph waits",
    ],
)
def test_anything_else_is_not(text: str) -> None:
    assert not is_haiku(text)


def test_a_nonce_counts_two_syllables_and_only_when_it_was_given() -> None:
    assert given_syllables("a3f9c21b") == 2
    assert count_syllables("the code x7Kq2mZp glows", ["x7Kq2mZp"]) == 5
    assert count_syllables("the code x7Kq2mZp glows") is None
    assert count_syllables("the code x7Kq2mZP glows", ["x7Kq2mZp"]) is None, "one letter is wrong"


def test_a_given_word_of_the_lexicon_keeps_its_own_count_and_any_other_is_estimated() -> None:
    assert given_syllables("elephant") == 3, "eight letters, but no nonce"
    assert [estimate_syllables(word) for word in ("banana", "kite", "table", "tree")] == [3, 1, 2, 1]


def test_punctuation_at_a_word_does_not_change_its_count() -> None:
    assert count_syllables('"rain," a river.') == 4


def test_endings_follow_english_spelling() -> None:
    assert [("bridges", 2), ("berries", 2), ("echoes", 2), ("days", 1)] == [
        with_s(word, count) for word, count in (("bridge", 1), ("berry", 2), ("echo", 2), ("day", 1))
    ]
    assert third_person("carry on", 3) == ("carries on", 3)
    assert participle("hum", 1, doubles=True) == ("humming", 2)
    assert participle("lie", 1, doubles=False) == ("lying", 2)
    assert [article(word) for word in ("owl", "GPU", "hour", "one")] == ["an", "a", "an", "a"]
