"""Sample phrases of an exact number of syllables from the weighted grammar, in one theme.

The grammar is a probabilistic context-free one. `inside` sums the weight of all derivations of a
symbol with n syllables, so that sampling conditioned on the length is exact and never backtracks.
A *demand* names one terminal leaf that must occur; the same sums are kept for derivations with it.
Source: inside probabilities, Baker 1979, "Trainable grammars for speech recognition".
"""

import random
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from tools.haiku.lexicon import load_lexicon
from tools.haiku.rules import Rule, load_rules
from tools.haiku.vocabulary import Choices, kinds, theme_choices

GIVEN_TERMINALS = ("CODE", "WORD")
"""Leaves only a demand can fill: a nonce, and a word outside the lexicon."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A demand: this terminal with this many syllables must occur."""

    terminal: str
    syllables: int


@dataclass(frozen=True, slots=True)
class Option:
    """One rule with its syllables shared out; `demanded` is the child that holds the demand or -1."""

    children: tuple[str, ...]
    syllables: tuple[int, ...]
    demanded: int


@dataclass(frozen=True, slots=True)
class Options:
    """All options of a symbol and length, with cumulative weights."""

    items: tuple[Option, ...]
    cumulative: tuple[float, ...]

    @property
    def total(self) -> float:
        return self.cumulative[-1] if self.cumulative else 0.0


@lru_cache(maxsize=1)
def grammar_rules() -> dict[str, tuple[Rule, ...]]:
    return load_rules(kinds())


@lru_cache(maxsize=1)
def reachable() -> dict[str, frozenset[str]]:
    """Every symbol to the leaves it can lead to."""
    found: dict[str, frozenset[str]] = {}

    def visit(symbol: str) -> frozenset[str]:
        if symbol not in found:
            rules = grammar_rules().get(symbol, ())
            below = [visit(child) for rule in rules for child in rule.children]
            found[symbol] = frozenset({symbol}).union(*below)
        return found[symbol]

    for symbol in grammar_rules():
        visit(symbol)
    return found


class ThemeGrammar:
    """The grammar with the words of one theme. Keeps its sums; not thread-safe."""

    def __init__(self, theme: str) -> None:
        self._words = theme_choices(theme)
        self._rules = grammar_rules()
        self._counts = load_lexicon().syllables
        self._options: dict[tuple[str, int, Leaf | None], Options] = {}

    def inside(self, symbol: str, syllables: int, leaf: Leaf | None = None) -> float:
        """Summed weight of the derivations; 0.0 when there is none."""
        if symbol in self._rules:
            return self._options_of(symbol, syllables, leaf).total
        if leaf is not None:
            return 1.0 if (symbol, syllables) == (leaf.terminal, leaf.syllables) else 0.0
        return self._leaf_weight(symbol, syllables)

    def sample(self, symbol: str, syllables: int, rng: random.Random, demand: tuple[Leaf, str] | None) -> str:
        """Text of one derivation; `demand` is the leaf that must occur and its text."""
        if symbol not in self._rules:
            return demand[1] if demand else self._word(symbol, syllables, rng)
        options = self._options_of(symbol, syllables, demand[0] if demand else None)
        option = options.items[pick(options.cumulative, rng)]
        parts = (
            self.sample(child, count, rng, demand if i == option.demanded else None)
            for i, (child, count) in enumerate(zip(option.children, option.syllables, strict=True))
        )
        return " ".join(parts)

    def _leaf_weight(self, symbol: str, syllables: int) -> float:
        by_count = self._words.get(symbol)
        if by_count is None:
            literal = symbol not in GIVEN_TERMINALS and self._counts.get(symbol.lower()) == syllables
            return 1.0 if literal else 0.0
        found = by_count.get(syllables)
        if found is None:
            return 0.0
        return found.cumulative[-1] if symbol[:2] in ("N.", "P.") else len(found.texts) ** 0.5

    def _word(self, symbol: str, syllables: int, rng: random.Random) -> str:
        by_count = self._words.get(symbol)
        if by_count is None:
            return symbol
        found: Choices = by_count[syllables]
        return found.texts[pick(found.cumulative, rng)]

    def _options_of(self, symbol: str, syllables: int, leaf: Leaf | None) -> Options:
        key = (symbol, syllables, leaf)
        if key not in self._options:
            self._options[key] = self._build(symbol, syllables, leaf)
        return self._options[key]

    def _build(self, symbol: str, syllables: int, leaf: Leaf | None) -> Options:
        items, cumulative, total = [], [], 0.0
        for rule in self._rules[symbol]:
            for demanded in demanded_children(rule, leaf):
                for weight, shares in self._shares(rule.children, syllables, leaf, demanded):
                    total += weight * rule.weight
                    items.append(Option(rule.children, shares, demanded))
                    cumulative.append(total)
        return Options(tuple(items), tuple(cumulative))

    def _shares(
        self, children: tuple[str, ...], syllables: int, leaf: Leaf | None, demanded: int
    ) -> Iterator[tuple[float, tuple[int, ...]]]:
        """Every way to share the syllables out among the children, with its weight."""
        if not children:
            if syllables == 0:
                yield 1.0, ()
            return
        for count in range(1, syllables - len(children) + 2):
            weight = self.inside(children[0], count, leaf if demanded == 0 else None)
            if weight > 0.0:
                for rest, shares in self._shares(children[1:], syllables - count, leaf, demanded - 1):
                    yield weight * rest, (count, *shares)


def demanded_children(rule: Rule, leaf: Leaf | None) -> Iterator[int]:
    """The children that could hold the demand; -1 once when there is no demand."""
    if leaf is None:
        yield -1
        return
    for i, child in enumerate(rule.children):
        if leaf.terminal == child or leaf.terminal in reachable().get(child, ()):
            yield i


def pick(cumulative: tuple[float, ...], rng: random.Random) -> int:
    return min(bisect_right(cumulative, rng.random() * cumulative[-1]), len(cumulative) - 1)
