"""The words the model knows, their syllables, and the one place that decides what a haiku is.

A *given* word is one the prompt asks for. Words outside the lexicon count only when they are given:
a nonce (eight letters or digits) counts NONCE_SYLLABLES, any other given word is estimated by rule.
Every other unknown word makes the line uncountable, so that the check never flatters the model.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from tools.haiku.inflect import participle, third_person, with_s
from tools.haiku.word_tables import (
    Adjective,
    Noun,
    Phrase,
    Place,
    Verb,
    number_words,
    read_adjectives,
    read_nouns,
    read_phrases,
    read_places,
    read_small_words,
    read_verbs,
)

NONCE_SYLLABLES = 2
"""A nonce is read aloud as the word "cipher", whatever its letters: two syllables."""

PATTERN = (5, 7, 5)
NONCE = re.compile(r"[A-Za-z0-9]{8}")
PUNCTUATION = ",.;:!?\"'()"


@dataclass(frozen=True, slots=True)
class Lexicon:
    """All tables, and the syllables of every single word form in lower case."""

    nouns: tuple[Noun, ...]
    verbs: tuple[Verb, ...]
    adjectives: tuple[Adjective, ...]
    places: tuple[Place, ...]
    phrases: tuple[Phrase, ...]
    numbers: dict[str, int]
    syllables: dict[str, int] = field(repr=False)


@lru_cache(maxsize=1)
def load_lexicon() -> Lexicon:
    """Read the tables once; they never change while the program runs."""
    nouns, verbs, adjectives = read_nouns(), read_verbs(), read_adjectives()
    places, phrases, numbers = read_places(), read_phrases(), number_words()
    forms: list[tuple[str, int]] = list(read_small_words()) + list(numbers.items())
    forms += [(a.text, a.syllables) for a in adjectives] + [(p.text, p.syllables) for p in phrases]
    forms += [(p.text, p.syllables) for p in places]
    forms += [form for noun in nouns for form in noun_forms(noun)]
    forms += [form for verb in verbs for form in verb_forms(verb)]
    return Lexicon(nouns, verbs, adjectives, places, phrases, numbers, single_words(forms))


def single_words(forms: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Keep the forms of one word; refuse a word that two tables count differently."""
    table: dict[str, int] = {}
    for text, syllables in forms:
        if " " not in text and table.setdefault(text.lower(), syllables) != syllables:
            raise ValueError(f"{text!r} has {table[text.lower()]} and {syllables} syllables")
    return table


def noun_forms(noun: Noun) -> list[tuple[str, int]]:
    """[1 or 2] singular and plural as (text, syllables)."""
    singular = (noun.text, noun.syllables)
    return [singular] if noun.number in "~1p" else [singular, plural(noun)]


def plural(noun: Noun) -> tuple[str, int]:
    """The plural and its syllables; an irregular one gains one only before -es or -ies by rule."""
    if not noun.number.startswith("="):
        return with_s(noun.text, noun.syllables)
    form = noun.number[1:]
    grows = form.endswith(("hes", "uses", "ices", "sses", "nses")) or form == "children"
    return form, noun.syllables + (1 if grows and form != noun.text else 0)


def verb_forms(verb: Verb) -> list[tuple[str, int]]:
    """[2 or 3] base, third person, participle; none for "sparkle": "sparkling" has two or three."""
    base, count = verb.text, verb.syllables
    finite = [(base, count), third_person(base, count)]
    if base.endswith("le"):
        return finite
    return [*finite, participle(base, count, doubles=verb.doubles)]


def estimate_syllables(word: str) -> int:
    """Count the vowel groups of an unknown word; a final silent e does not sound."""
    letters = re.sub(r"[^a-z]", "", word.lower())
    groups = len(re.findall(r"[aeiouy]+", letters))
    silent = letters.endswith("e") and not letters.endswith(("le", "ee")) and groups > 1
    return max(1, groups - (1 if silent else 0))


def given_syllables(word: str) -> int:
    """Syllables of a word the prompt asks for: lexicon first, then nonce, then estimate."""
    known = load_lexicon().syllables.get(word.lower())
    if known is not None:
        return known
    return NONCE_SYLLABLES if NONCE.fullmatch(word) else estimate_syllables(word)


def count_syllables(line: str, given: Iterable[str] = ()) -> int | None:
    """Count one line; None when a word is neither in the lexicon nor given."""
    extra = {word: given_syllables(word) for word in given}
    table, total = load_lexicon().syllables, 0
    for raw in line.split():
        word = raw.strip(PUNCTUATION)
        count = extra.get(word, table.get(word.lower()))
        if count is None:
            return None
        total += count
    return total


def is_haiku(text: str, given: Iterable[str] = ()) -> bool:
    """Exactly three lines of 5, 7 and 5 syllables by the lexicon, with nothing before or after."""
    lines, allowed = text.split("\n"), tuple(given)
    return tuple(count_syllables(line, allowed) for line in lines) == PATTERN
