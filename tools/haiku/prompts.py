"""Ways to ask for a haiku: openings, demands and endings, combined at random."""

import json
import random
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from tools.haiku.lexicon import NONCE

PHRASINGS = Path(__file__).parent / "words" / "phrasings.json"


@cache
def phrases(name: str) -> tuple[str, ...]:
    """One list of the table: {t} stands for the topic, {w} for a word, {d} for all demands."""
    return tuple(json.loads(PHRASINGS.read_text(encoding="utf-8"))[name])


def ask(topic: str | None, words: Sequence[str], numbers: frozenset[str], rng: random.Random) -> str:
    """One prompt for a topic (or none) that demands every word; nothing but the words is certain."""
    opening = request(topic, rng)
    if not words:
        text = opening
    elif rng.random() < 0.15:
        front = rng.choice(phrases("front_demands")).format(d=listed(words, numbers, rng))
        text = front + soften(opening, rng)
    elif rng.random() < 0.25 and len(words) > 1:
        text = opening
        for word in words:
            text += demand([word], numbers, rng)
    else:
        text = opening + demand(words, numbers, rng)
    return finish(text, words, topic, rng)


def request(topic: str | None, rng: random.Random) -> str:
    verb = rng.choice(phrases("verbs"))
    poem = rng.choice(phrases("poems")) if rng.random() < 0.6 else "a haiku"
    if topic is None:
        return rng.choice(phrases("no_topic")).format(v=verb, p=poem)
    shown = f'"{topic}"' if rng.random() < 0.05 else topic
    if rng.random() < 0.35:
        return rng.choice(phrases("bare")).format(t=shown)
    if rng.random() < 0.45:
        verb = "Write"
    return f"{verb} {poem} {rng.choice(phrases('about'))} {shown}"


def demand(words: Sequence[str], numbers: frozenset[str], rng: random.Random) -> str:
    """The words as a clause that follows the request."""
    if len(words) == 1 and words[0] in numbers and rng.random() < 0.25:
        return rng.choice(phrases("minute_for")).format(w=words[0])
    phrase = listed(words, numbers, rng)
    if rng.random() < 0.3:
        clause = rng.choice(phrases("subject_demands")).format(d=phrase)
        return clause[:2] + clause[2:3].upper() + clause[3:] if clause[2:].startswith("the ") else clause
    lead = rng.choice(phrases("demand_verbs"))
    return f"{lead} {phrase}" if lead[0] in ".;, " else f" {lead} {phrase}"


def listed(words: Sequence[str], numbers: frozenset[str], rng: random.Random) -> str:
    order = rng.sample(list(words), len(words))
    if len(order) > 1 and rng.random() < 0.2 and not any(NONCE.fullmatch(w) for w in order):
        return "the words " + rng.choice(phrases("joints")).join(quoted(w, rng) for w in order)
    return rng.choice(phrases("joints")).join(labelled(word, numbers, rng) for word in order)


def labelled(word: str, numbers: frozenset[str], rng: random.Random) -> str:
    if word in numbers and rng.random() < 0.4:
        labels: Sequence[str] = phrases("number_labels")
    else:
        labels = (
            phrases("code_labels")
            if NONCE.fullmatch(word) and rng.random() < 0.95
            else phrases("word_labels")
        )
    return rng.choice(labels).format(w=quoted(word, rng))


def quoted(word: str, rng: random.Random) -> str:
    shown = (
        word.capitalize() if word.islower() and not NONCE.fullmatch(word) and rng.random() < 0.04 else word
    )
    return rng.choice(phrases("quotes")).format(shown)


def soften(text: str, rng: random.Random) -> str:
    return text[0].lower() + text[1:] if rng.random() < 0.7 else text


def finish(text: str, words: Sequence[str], topic: str | None, rng: random.Random) -> str:
    """Stop, extra instructions, stray case and blanks; words and topic keep their letters."""
    ending = f". {rng.choice(phrases('endings'))}" if rng.random() < 0.2 else ""
    ending += f". {rng.choice(phrases('endings'))}" if ending and rng.random() < 0.3 else ""
    before = f"{rng.choice(phrases('chatter'))}. " if rng.random() < 0.03 else ""
    text = (
        before
        + text
        + ending
        + ("" if text.endswith(("\n", ":")) and not ending else rng.choice(phrases("stops")))
    )
    if rng.random() < 0.15:
        text = recased(text, [*words, *([topic] if topic else [])], str.lower)
    elif rng.random() < 0.015:
        text = recased(text, words, str.upper)
    return text + rng.choices(("", "\n", " ", "\n\n"), weights=(90, 6, 3, 1))[0]


def recased(text: str, kept: Sequence[str], change: Callable[[str], str]) -> str:
    """Change the case of all but the kept words; a nonce must keep its letters."""
    if not kept:
        return change(text)
    pattern = "(" + "|".join(re.escape(word) for word in kept) + ")"
    parts = re.split(pattern, text)
    return "".join(part if i % 2 else change(part) for i, part in enumerate(parts))
