"""Prompts render, hold their words letter for letter, and come in many shapes."""

import random
from itertools import islice

import pytest

from tools.haiku.corpus import TRAINING, random_pairs
from tools.haiku.lexicon import load_lexicon
from tools.haiku.nonces import ALPHABETS, invented_word, random_nonce
from tools.haiku.prompts import ask, recased

NUMBERS = frozenset(load_lexicon().numbers)


def test_no_placeholder_is_left_in_a_prompt() -> None:
    prompts = [request.prompt for request, _ in islice(random_pairs(7, TRAINING), 60)]

    assert not [prompt for prompt in prompts if "{" in prompt or "}" in prompt]
    assert all(prompt.strip() for prompt in prompts)


def test_a_prompt_holds_topic_words_and_nonce() -> None:
    rng = random.Random(2)
    for _ in range(300):
        prompt = ask("GPU computing", ["forty-two", "x7Kq2mZp"], NUMBERS, rng)

        assert "x7Kq2mZp" in prompt
        assert "forty-two" in prompt.lower()
        assert "gpu computing" in prompt.lower()


def test_prompts_about_one_topic_hardly_ever_repeat() -> None:
    rng = random.Random(3)

    assert len({ask("rain", ["seven"], NUMBERS, rng) for _ in range(300)}) > 280


def test_changing_the_case_spares_the_kept_words() -> None:
    assert recased("Write About GPU and x7Kq", ["x7Kq"], str.lower) == "write about gpu and x7Kq"
    assert recased("Write", [], str.upper) == "WRITE"


@pytest.mark.parametrize("kind", ALPHABETS)
def test_a_nonce_is_eight_characters_of_its_alphabet(kind: str) -> None:
    nonce = random_nonce(random.Random(1), kind)

    assert len(nonce) == 8
    assert set(nonce) <= set(ALPHABETS[kind])


def test_an_invented_word_is_never_as_long_as_a_nonce() -> None:
    rng = random.Random(1)

    assert 8 not in {len(invented_word(rng)) for _ in range(300)}
