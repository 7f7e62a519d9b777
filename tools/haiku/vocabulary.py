"""Which words each terminal of the grammar may become, in general and in one theme."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from tools.haiku.inflect import participle, third_person
from tools.haiku.lexicon import Lexicon, load_lexicon, plural
from tools.haiku.word_tables import Noun, read_themes

OWN, BORROWED, FOREIGN = 1.0, 0.12, 1e-7
"""How often a noun of the theme, of a related theme, of no related theme is taken."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One word form a terminal may become."""

    terminal: str
    text: str
    syllables: int
    themes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Choices:
    """The words of one terminal and one syllable count, with cumulative weights."""

    texts: tuple[str, ...]
    cumulative: tuple[float, ...]


@lru_cache(maxsize=1)
def all_entries() -> tuple[Entry, ...]:
    """Every word form of the lexicon under its terminal."""
    lexicon = load_lexicon()
    nouns, verbs = noun_entries(lexicon), verb_entries(lexicon)
    return (*nouns, *verbs, *adjective_entries(lexicon), *other_entries(lexicon))


def kinds() -> tuple[str, ...]:
    return tuple(dict.fromkeys(noun.kind for noun in load_lexicon().nouns))


def noun_entries(lexicon: Lexicon) -> Iterator[Entry]:
    """N.sg: takes "the"; N.c: takes "a"; N.m: stands alone; N.pl: plural."""
    for noun in lexicon.nouns:
        yield from (Entry(f"{name}.{noun.kind}", *form, noun.themes) for name, form in noun_terminals(noun))


def noun_terminals(noun: Noun) -> Iterator[tuple[str, tuple[str, int]]]:
    own = (noun.text, noun.syllables)
    if noun.number == "p":
        yield "N.pl", own
        return
    yield "N.sg", own
    if noun.number == "~":
        yield "N.m", own
    elif noun.number != "1":
        yield "N.c", own
        yield "N.pl", plural(noun)


def verb_entries(lexicon: Lexicon) -> Iterator[Entry]:
    """V: without object, T and U: with one, G: participle; each for every kind of subject it suits."""
    for verb in lexicon.verbs:
        third = third_person(verb.text, verb.syllables)
        for kind in verb.kinds:
            yield Entry(f"{verb.terminal}.sg.{kind}", *third)
            yield Entry(f"{verb.terminal}.pl.{kind}", verb.text, verb.syllables)
            if verb.terminal == "V" and not verb.text.endswith("le"):
                form = participle(verb.text, verb.syllables, doubles=verb.doubles)
                yield Entry(f"G.{kind}", *form)


def adjective_entries(lexicon: Lexicon) -> Iterator[Entry]:
    for adjective in lexicon.adjectives:
        for kind in kinds() if adjective.kinds == ("*",) else adjective.kinds:
            yield Entry(f"A.{kind}", adjective.text, adjective.syllables)


def other_entries(lexicon: Lexicon) -> Iterator[Entry]:
    """Places, fixed phrases and the number words: NUM counts things, NUMX names one of a row."""
    for place in lexicon.places:
        yield Entry(f"P.{place.preposition}", place.text, place.syllables, place.themes)
    for phrase in lexicon.phrases:
        yield Entry(phrase.terminal, phrase.text, phrase.syllables)
    for text, syllables in lexicon.numbers.items():
        yield Entry("ONE" if text == "one" else "NUM", text, syllables)
        yield Entry("NUMX", text, syllables)


def theme_weight(entry: Entry, theme: str, related: frozenset[str]) -> float:
    if not entry.themes or theme in entry.themes:
        return OWN
    return BORROWED if related.intersection(entry.themes) else FOREIGN


def theme_choices(theme: str) -> dict[str, dict[int, Choices]]:
    """Terminal to syllable count to the words, weighted for this theme."""
    related = frozenset(read_themes()[theme])
    grouped: dict[tuple[str, int], dict[str, float]] = defaultdict(dict)
    for entry in all_entries():
        weight = theme_weight(entry, theme, related)
        grouped[entry.terminal, entry.syllables][entry.text] = weight
    table: dict[str, dict[int, Choices]] = defaultdict(dict)
    for (terminal, syllables), weights in grouped.items():
        table[terminal][syllables] = choices(weights)
    return dict(table)


def choices(weights: dict[str, float]) -> Choices:
    total, cumulative = 0.0, []
    for weight in weights.values():
        total += weight
        cumulative.append(total)
    return Choices(tuple(weights), tuple(cumulative))


@lru_cache(maxsize=1)
def terminals_of_words() -> dict[str, tuple[tuple[str, int], ...]]:
    """Each word or fixed phrase to the (terminal, syllables) it can stand for."""
    found: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for entry in all_entries():
        found[entry.text].add((entry.terminal, entry.syllables))
    return {text: tuple(sorted(places)) for text, places in found.items()}
