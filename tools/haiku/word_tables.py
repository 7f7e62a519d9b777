"""Read the word tables beside this file: one entry a line, its comment line says the columns."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "words"
UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen".split()
TEENS = "fifteen sixteen seventeen eighteen nineteen".split()
TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50}
LONG_UNITS = {"zero": 2, "seven": 2, "eleven": 3, "seventeen": 3}


@dataclass(frozen=True, slots=True)
class Noun:
    """`number`: s counts, ~ mass, 1 singular only, p plural only, =form irregular plural."""

    text: str
    syllables: int
    number: str
    kind: str
    themes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verb:
    """`kinds` are the subjects it suits; `terminal` V takes no object, T a surface, U a living thing."""

    text: str
    syllables: int
    kinds: tuple[str, ...]
    terminal: str
    doubles: bool


@dataclass(frozen=True, slots=True)
class Adjective:
    """`kinds` are the nouns it suits, ("*",) every kind."""

    text: str
    syllables: int
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """`preposition` is the class of prepositions it takes: in, on, by or under."""

    text: str
    syllables: int
    preposition: str
    themes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Phrase:
    """A word or fixed phrase of one terminal class."""

    terminal: str
    text: str
    syllables: int


@dataclass(frozen=True, slots=True)
class Topic:
    """What a poem may be asked about, the theme it lives in, and nouns that suit it."""

    text: str
    theme: str
    keywords: tuple[str, ...]


def lines_of(name: str) -> Iterator[str]:
    """Every line of a table that is neither empty nor a comment."""
    for line in (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            yield line


def split_entry(line: str) -> tuple[str, int, list[str]]:
    """Split "night train 2 s train": the text, its syllables, the other columns."""
    parts = line.split()
    at = next(i for i, part in enumerate(parts) if part.isdigit())
    return " ".join(parts[:at]), int(parts[at]), parts[at + 1 :]


def read_nouns() -> tuple[Noun, ...]:
    """Nouns stand under a line that names their kind; "=wild geese" may contain a blank."""
    nouns: list[Noun] = []
    kind = ""
    for line in lines_of("nouns"):
        if line.startswith("@"):
            kind = line[1:]
            continue
        text, syllables, rest = split_entry(line)
        if rest[0].startswith("=") and " " in text:
            rest = [f"{rest[0]} {rest[1]}", *rest[2:]]
        nouns.append(Noun(text, syllables, rest[0], kind, tuple(rest[1:])))
    return tuple(nouns)


def read_verbs() -> tuple[Verb, ...]:
    """A leading > or & marks a verb that takes an object, a trailing * one that doubles."""
    verbs: list[Verb] = []
    for line in lines_of("verbs"):
        text, syllables, kinds = split_entry(line)
        base = text.lstrip(">&").rstrip("*")
        terminal = {">": "T", "&": "U"}.get(text[0], "V")
        verbs.append(Verb(base, syllables, tuple(kinds), terminal, text.endswith("*")))
    return tuple(verbs)


def read_adjectives() -> tuple[Adjective, ...]:
    entries = (split_entry(line) for line in lines_of("adjectives"))
    return tuple(Adjective(text, syllables, tuple(kinds)) for text, syllables, kinds in entries)


def read_places() -> tuple[Place, ...]:
    entries = (split_entry(line) for line in lines_of("places"))
    return tuple(Place(text, syllables, rest[0], tuple(rest[1:])) for text, syllables, rest in entries)


def read_phrases() -> tuple[Phrase, ...]:
    """ "ADV once more = 2"."""
    phrases: list[Phrase] = []
    for line in lines_of("phrases"):
        left, _, syllables = line.rpartition(" = ")
        terminal, _, text = left.partition(" ")
        phrases.append(Phrase(terminal, text, int(syllables)))
    return tuple(phrases)


def read_small_words() -> tuple[tuple[str, int], ...]:
    return tuple((text, syllables) for text, syllables, _ in map(split_entry, lines_of("small")))


def read_themes() -> dict[str, tuple[str, ...]]:
    """Theme to the themes whose words it may borrow."""
    rows = (line.split() for line in lines_of("themes"))
    return {row[0]: tuple(row[1:]) for row in rows}


def read_topics(nouns: frozenset[str]) -> tuple[Topic, ...]:
    """Topics of the table; their keywords are matched longest first against the nouns."""
    rows = (line.split(" | ") for line in lines_of("topics"))
    return tuple(Topic(text, theme, known_words(words, nouns)) for text, theme, words in rows)


def known_words(text: str, known: frozenset[str]) -> tuple[str, ...]:
    """Split a keyword list into the nouns it names, taking two words where they are one entry."""
    parts, found = text.split(), []
    while parts:
        pair = " ".join(parts[:2])
        size = 2 if len(parts) > 1 and pair in known else 1
        found.append(" ".join(parts[:size]))
        parts = parts[size:]
    return tuple(found)


def number_words() -> dict[str, int]:
    """[60] zero to fifty-nine in words, with their syllables."""
    small = {
        word: LONG_UNITS.get(word, 2 if word.endswith(("teen", "elve")) else 1) for word in UNITS + TEENS
    }
    small["twelve"] = 1
    units = UNITS[1:10]
    tens = dict.fromkeys(TENS, 2)
    compound = {f"{ten}-{unit}": 2 + small[unit] for ten in TENS for unit in units}
    return small | tens | compound
