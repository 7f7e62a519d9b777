"""Put three lines of the grammar together to a haiku that holds what was asked for."""

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from tools.haiku.grammar import Leaf, ThemeGrammar, pick
from tools.haiku.inflect import article
from tools.haiku.lexicon import NONCE, PATTERN, PUNCTUATION, given_syllables, load_lexicon
from tools.haiku.vocabulary import kinds, terminals_of_words

MAY_REPEAT = frozenset("the a an and in on by at to of my this one I for so".split())
TIMES = frozenset(
    "dawn dusk noon night midnight daybreak tonight today day morning evening moonlight starlight sunrise"
    " again once".split()
)
MAX_TRIES = 200

Demand = tuple[Leaf, str]


@dataclass(frozen=True, slots=True)
class Form:
    """The symbols of the three lines and how often the form is taken."""

    symbols: tuple[str, str, str]
    weight: float


class DemandImpossible(Exception):
    """No form of the grammar holds all the demanded words."""


@lru_cache(maxsize=1)
def poem_forms() -> tuple[Form, ...]:
    """Images side by side, or a subject in one line and its verb in the next."""
    loose = [
        Form(("FRAG", "SENT", "ANY"), 3.0),
        Form(("SENT", "FRAG", "ANY"), 0.6),
        Form(("SENT", "SENT", "FRAG"), 0.8),
        Form(("LINE", "LINE", "LINE"), 1e-9),
        Form(("FRAG", "LINE", "SENT"), 1e-7),
        Form(("LINE", "SENT", "FRAG"), 1e-7),
        Form(("FRAG", "SENT", "LINE"), 1e-7),
    ]
    pairs = itertools.product(("sg", "pl"), kinds())
    runs = [form for number, kind in pairs for form in run_on_forms(f"{number}.{kind}")]
    return tuple(loose + runs)


def run_on_forms(ending: str) -> Iterator[Form]:
    subject, verb = f"NX.{ending}", f"VP.{ending}"
    yield Form((subject, verb, "ANY"), 1.0)
    yield Form(("ANY", subject, verb), 0.5)


@cache
def theme_grammar(theme: str) -> ThemeGrammar:
    return ThemeGrammar(theme)


def write_poem(theme: str, wanted: Sequence[str], hints: Sequence[str], rng: random.Random) -> str:
    """A haiku in the theme that holds every wanted word and, where it can, one of the hints.

    Raises:
        DemandImpossible: the grammar has no place for the wanted words together.
    """
    grammar = theme_grammar(theme)
    for attempt in range(MAX_TRIES):
        hint = [rng.choice(hints)] if hints and attempt < MAX_TRIES // 4 else []
        words = [*wanted, *(h for h in hint if h not in wanted)][: len(PATTERN)]
        poem = compose(grammar, [demand_for(word, rng) for word in words], rng)
        if poem is not None and reads_well(poem):
            return poem
    raise DemandImpossible(f"theme {theme!r} has no haiku with {list(wanted)!r}")


def demand_for(word: str, rng: random.Random) -> Demand:
    """A leaf the word can fill: of the lexicon, a nonce, or a word only the prompt knows."""
    own_form = word if word in terminals_of_words() else word.lower()
    places = terminals_of_words().get(own_form)
    if places:
        return Leaf(*rng.choice(places)), own_form
    if NONCE.fullmatch(word) and word.lower() not in load_lexicon().syllables:
        return Leaf("CODE", given_syllables(word)), word
    return Leaf("WORD", given_syllables(word)), word


def compose(grammar: ThemeGrammar, demands: Sequence[Demand], rng: random.Random) -> str | None:
    """One try: deal the demands to lines, choose a form that can hold them, fill it."""
    hand: list[Demand | None] = [*demands, *[None] * (len(PATTERN) - len(demands))]
    rng.shuffle(hand)
    cumulative, total = [], 0.0
    for form in poem_forms():
        total += form.weight * form_weight(grammar, form, hand)
        cumulative.append(total)
    if total <= 0.0:
        return None
    form = poem_forms()[pick(tuple(cumulative), rng)]
    slots = zip(form.symbols, PATTERN, hand, strict=True)
    lines = [grammar.sample(symbol, count, rng, demand) for symbol, count, demand in slots]
    return "\n".join(fix_articles(line) for line in lines)


def form_weight(grammar: ThemeGrammar, form: Form, hand: Sequence[Demand | None]) -> float:
    weight = 1.0
    for symbol, count, demand in zip(form.symbols, PATTERN, hand, strict=True):
        weight *= grammar.inside(symbol, count, demand[0] if demand else None)
        if weight == 0.0:
            break
    return weight


def fix_articles(line: str) -> str:
    words = line.split(" ")
    following = zip(words, [*words[1:], ""], strict=True)
    return " ".join(article(after) if word == "a" else word for word, after in following)


def reads_well(poem: str) -> bool:
    """No word of content twice, singular or plural, and no line with two times of day."""
    words = [word.strip(PUNCTUATION) for word in poem.split()]
    stems = [word.removesuffix("s") for word in words if word not in MAY_REPEAT]
    times = max(sum(word in TIMES for word in line.split()) for line in poem.split("\n"))
    return len(stems) == len(set(stems)) and times < 2
