"""The phrase grammar: read words/rules.txt and write it out for every kind of noun.

A symbol is a nonterminal (it has rules), a terminal (the vocabulary lists its words) or a literal
word. K stands for a kind of noun (`water`, `bird`, ...), F for a number (sg or pl).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tools.haiku.word_tables import lines_of

NUMBERS = ("sg", "pl")


@dataclass(frozen=True, slots=True)
class Rule:
    """One expansion of a symbol and how often it is taken, relative to its siblings."""

    weight: float
    children: tuple[str, ...]


def load_rules(kinds: tuple[str, ...]) -> dict[str, tuple[Rule, ...]]:
    """Every nonterminal with its expansions, K and F replaced."""
    grammar: dict[str, tuple[Rule, ...]] = {}
    for line in lines_of("rules"):
        left, _, right = line.partition(" = ")
        rules = [parse_rule(part) for part in right.split(" | ")]
        for symbol, bindings in instances(left, kinds):
            grammar[symbol] = tuple(new for rule in rules for new in bind_rule(rule, bindings, kinds))
    return grammar


def parse_rule(text: str) -> Rule:
    weight, *children = text.split()
    return Rule(float(weight), tuple(children))


def instances(symbol: str, kinds: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]]]:
    """Bind the K and F that stand in a left-hand side."""
    numbers = NUMBERS if ".F." in symbol else ("",)
    for kind in kinds if symbol.endswith(".K") else ("",):
        for number in numbers:
            bindings = {name: value for name, value in (("K", kind), ("F", number)) if value}
            yield bind(symbol, bindings), bindings


def bind_rule(rule: Rule, bindings: dict[str, str], kinds: tuple[str, ...]) -> Iterator[Rule]:
    """Replace K and F; those the left side leaves open range over all values, the same one in a rule."""
    open_kind = "K" not in bindings and any(child.endswith(".K") for child in rule.children)
    open_number = "F" not in bindings and any(".F." in child for child in rule.children)
    for kind in kinds if open_kind else ("",):
        for number in NUMBERS if open_number else ("",):
            values = bindings | {k: v for k, v in (("K", kind), ("F", number)) if v}
            yield Rule(rule.weight, tuple(bind(child, values) for child in rule.children))


def bind(symbol: str, values: dict[str, str]) -> str:
    parts = symbol.split(".")
    return ".".join(values.get(part, part) for part in parts) if len(parts) > 1 else symbol
