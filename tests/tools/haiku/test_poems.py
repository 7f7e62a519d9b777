"""The grammar keeps its promises: 5-7-5, the demanded words, the articles, endless variety."""

import random
import re
from functools import cache
from itertools import islice, pairwise

import pytest

from tools.haiku.corpus import MEASURED, ROUGH, TRAINING, Request, lexicon_words, random_pairs
from tools.haiku.inflect import article
from tools.haiku.lexicon import estimate_syllables, load_lexicon
from tools.haiku.poems import DemandImpossible, write_poem
from tools.haiku.scoring import has_words

NUM_PAIRS = 120


@cache
def pairs() -> list[tuple[Request, str]]:
    return list(islice(random_pairs(5, TRAINING), NUM_PAIRS))


def recount(line: str, request: Request) -> int:
    """Syllables without the checker: table, then 2 for the nonce, then the estimate."""
    total = 0
    for word in re.findall(r"\S+", line):
        known = load_lexicon().syllables.get(word.lower())
        total += known or (2 if len(word) == 8 and word in request.wanted else estimate_syllables(word))
    return total


def test_every_poem_is_five_seven_five_by_an_independent_recount() -> None:
    for request, poem in pairs():
        assert [recount(line, request) for line in poem.split("\n")] == [5, 7, 5], (request, poem)


def test_every_demanded_word_and_nonce_appears() -> None:
    for request, poem in pairs():
        assert has_words(request, poem), (request, poem)
        assert request.nonce is None or request.nonce in poem.split()


def test_a_and_an_follow_the_sound_of_the_next_word() -> None:
    for _, poem in pairs():
        for line in poem.split("\n"):
            words = line.split()
            for this, after in pairwise(words):
                assert this not in ("a", "an") or this == article(after), line


def test_no_line_begins_or_ends_with_a_blank_and_none_is_empty() -> None:
    assert all(line and line == line.strip() for _, poem in pairs() for line in poem.split("\n"))


def test_two_seeds_give_different_corpora_and_one_seed_the_same() -> None:
    first, again, other = (list(islice(random_pairs(seed, MEASURED), 20)) for seed in (1, 1, 2))

    assert first == again
    assert not {poem for _, poem in first} & {poem for _, poem in other}


def test_poems_on_one_topic_hardly_ever_repeat() -> None:
    rng = random.Random(3)
    poems = {write_poem("gpu", [], ["GPU", "kernel"], rng) for _ in range(200)}

    assert len(poems) == 200


def test_a_poem_about_the_gpu_speaks_of_it() -> None:
    rng = random.Random(4)

    assert all("GPU" in write_poem("gpu", [], ["GPU"], rng) for _ in range(50))


@pytest.mark.parametrize("seed", range(40))
def test_any_word_of_the_lexicon_can_be_demanded_with_a_nonce(seed: int) -> None:
    rng = random.Random(seed)
    word = rng.choice(lexicon_words())

    poem = write_poem(rng.choice(["rain", "gpu", "tea"]), [word, "x7Kq2mZp"], [], rng)

    assert word in poem.replace("\n", " ").split()
    assert "x7Kq2mZp" in poem.split()


@pytest.mark.parametrize("number", ["zero", "one", "seven", "twelve", "forty-two", "fifty-seven"])
def test_number_words_stand_where_grammar_lets_them(number: str) -> None:
    poem = write_poem("rain", [number], [], random.Random(8))
    after = f"{poem} ".split(number, 1)[1].split()

    assert number in poem.split()
    assert number != "one" or not after or not after[0].endswith("drops")


def test_a_word_too_long_for_any_line_is_refused() -> None:
    with pytest.raises(DemandImpossible):
        write_poem("rain", ["banana" * 5], [], random.Random(1))


def test_rough_prompts_still_hold_what_they_demand() -> None:
    for request, _ in islice(random_pairs(6, ROUGH), 40):
        assert all(word.lower() in request.prompt.lower() for word in request.words), request
        assert request.nonce is None or request.nonce in request.prompt
