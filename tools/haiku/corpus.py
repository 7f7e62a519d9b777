"""Endless (prompt, poem) pairs from a seed: what the model is trained and measured on."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from tools.haiku.lexicon import load_lexicon, plural
from tools.haiku.nonces import foreign_word, invented_word, random_nonce
from tools.haiku.poems import DemandImpossible, write_poem
from tools.haiku.prompts import ask
from tools.haiku.rough_prompts import roughen
from tools.haiku.vocabulary import terminals_of_words
from tools.haiku.word_tables import Noun, Topic, read_small_words, read_themes, read_topics


@dataclass(frozen=True, slots=True)
class Mix:
    """What requests ask for: shares of number words and invented words among the required words."""

    number_share: float
    invented_share: float
    demands: tuple[int, ...]
    """Weights of: nothing, a word, a nonce, word and nonce, two words, two words and a nonce."""
    rough_share: float = 0.0
    """Share of prompts with noise in them."""


TRAINING = Mix(0.5, 0.25, (18, 30, 14, 26, 9, 3))
FOCUSED = Mix(0.2, 0.15, (6, 38, 6, 24, 18, 8))
"""For the last training run: words of the lexicon are harder to place than numbers and nonces."""
ROUGH = Mix(0.3, 0.15, (12, 34, 8, 26, 14, 6), rough_share=0.4)
"""For the finish: as focused, but the prompts are less tidy than any template."""
MEASURED = Mix(0.5, 0.0, (18, 30, 14, 26, 9, 3))
"""For the checks: as trained, but every required word is one whose syllables the lexicon knows."""
MIXES = {"training": TRAINING, "focused": FOCUSED, "rough": ROUGH}
DEMANDS = ((0, False), (1, False), (0, True), (1, True), (2, False), (2, True))


@dataclass(frozen=True, slots=True)
class Request:
    """A prompt and what its poem must hold."""

    prompt: str
    words: tuple[str, ...]
    nonce: str | None
    theme: str
    hints: tuple[str, ...]

    @property
    def wanted(self) -> tuple[str, ...]:
        return (*self.words, self.nonce) if self.nonce else self.words


@lru_cache(maxsize=1)
def listed_topics() -> tuple[Topic, ...]:
    return read_topics(frozenset(noun.text for noun in load_lexicon().nouns))


@lru_cache(maxsize=1)
def lexicon_words() -> tuple[str, ...]:
    """Every single word a prompt may require, number words aside."""
    numbers = load_lexicon().numbers
    words = {text for text, places in terminals_of_words().items() if requirable(places) and " " not in text}
    return tuple(sorted(words - set(numbers)))


def requirable(places: tuple[tuple[str, int], ...]) -> bool:
    return any(terminal.split(".")[0] in ("N", "V", "T", "U", "A", "G", "P", "ADV") for terminal, _ in places)


def random_request(rng: random.Random, mix: Mix) -> Request:
    topic, theme, hints = random_topic(rng)
    num_words, has_nonce = rng.choices(DEMANDS, weights=mix.demands)[0]
    words = tuple({random_word(rng, mix): None for _ in range(num_words)})
    nonce = random_nonce(rng) if has_nonce else None
    wanted = [*words, nonce] if nonce else list(words)
    prompt = ask(topic, wanted, frozenset(load_lexicon().numbers), rng)
    if mix.rough_share and rng.random() < mix.rough_share:
        prompt = roughen(prompt, wanted, strange_words(), rng)
    return Request(prompt, words, nonce, theme, hints)


@lru_cache(maxsize=1)
def strange_words() -> tuple[str, ...]:
    """Words for noise: the lexicon's, its function words more often, and none of the number words."""
    lexicon = load_lexicon()
    small = tuple(text for text, _ in read_small_words())
    return (*(word for word in lexicon.syllables if word not in lexicon.numbers), *small * 5)


def random_word(rng: random.Random, mix: Mix) -> str:
    if rng.random() < mix.number_share:
        return rng.choice(list(load_lexicon().numbers))
    if mix.invented_share and rng.random() < mix.invented_share:
        return invented_word(rng)
    return rng.choice(lexicon_words())


def random_topic(rng: random.Random) -> tuple[str | None, str, tuple[str, ...]]:
    """(topic as asked, theme, hints): listed, made from lexicon nouns, unknown, or none at all."""
    kind = rng.choices(("listed", "noun", "unknown", "none"), weights=(52, 30, 13, 5))[0]
    if kind == "listed":
        topic = rng.choice(listed_topics())
        return topic.text, topic.theme, topic.keywords
    if kind == "noun":
        return noun_topic(rng)
    theme = rng.choice(list(read_themes()))
    return (unknown_topic(rng) if kind == "unknown" else None), theme, ()


def noun_topic(rng: random.Random) -> tuple[str, str, tuple[str, ...]]:
    """A noun, several of it, with an adjective, or two nouns."""
    lexicon = load_lexicon()
    noun, other = rng.choice(lexicon.nouns), rng.choice(lexicon.nouns)
    adjective = rng.choice(lexicon.adjectives).text
    name = plural(noun)[0] if noun.number[0] in "s=" and rng.random() < 0.4 else noun.text
    shapes = (name, name, f"the {name}", f"{adjective} {name}", f"the {adjective} {name}", f"my {name}")
    pair = f"{name} and {other.text}"
    shape = rng.choice((*shapes, pair))
    return shape, rng.choice(noun.themes), (noun.text, other.text) if shape == pair else hints_of(noun, name)


def hints_of(noun: Noun, name: str) -> tuple[str, ...]:
    return (noun.text, name)


def unknown_topic(rng: random.Random) -> str:
    """One to three words the lexicon does not have, now and then of another script."""
    if rng.random() < 0.2:
        return foreign_word(rng)
    words = [invented_word(rng) for _ in range(rng.choices((1, 2, 3, 6), weights=(6, 4, 2, 1))[0])]
    if rng.random() < 0.3:
        words[0] = words[0].capitalize()
    return rng.choice(("{}", "{}", "a {}", "the {}", "my {}", "{}s")).format(" ".join(words))


def random_pairs(seed: int, mix: Mix) -> Iterator[tuple[Request, str]]:
    """Requests with a poem that fulfils each; the same seed gives the same pairs."""
    rng = random.Random(seed)
    while True:
        request = random_request(rng, mix)
        try:
            poem = write_poem(request.theme, request.wanted, request.hints, rng)
        except DemandImpossible:
            continue
        yield request, poem
