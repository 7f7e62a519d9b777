"""Make prompts rough, as strangers write them: words lost, swapped, strange, and stray clauses."""

import random
from collections.abc import Sequence

LOSE, SWAP, STRANGE = 0.1, 0.06, 0.06


def roughen(prompt: str, kept: Sequence[str], strange_words: Sequence[str], rng: random.Random) -> str:
    """The prompt with noise; every word that holds one of `kept` stays as it is."""
    words = prompt.split(" ")
    rough = [word for old in words for word in roughen_word(old, kept, strange_words, rng)]
    for i in range(len(rough) - 1):
        if rng.random() < SWAP:
            rough[i], rough[i + 1] = rough[i + 1], rough[i]
    text = " ".join(rough)
    if rng.random() < 0.4:
        text = text.rstrip(".!?: \n") + rng.choice((" ", ", ", ". ")) + clause(strange_words, rng)
    if rng.random() < 0.3:
        text = clause(strange_words, rng) + rng.choice((". ", ", ", " ", ": ", "\n")) + text
    return text or "haiku"


def roughen_word(
    word: str, kept: Sequence[str], strange_words: Sequence[str], rng: random.Random
) -> list[str]:
    if any(keep.lower() in word.lower() for keep in kept):
        return [word]
    chance = rng.random()
    if chance < LOSE:
        return []
    return [rng.choice(strange_words)] if chance < LOSE + STRANGE else [word]


def clause(strange_words: Sequence[str], rng: random.Random) -> str:
    """One to eight words that say nothing, with or without a stop."""
    words = rng.choices(strange_words, k=rng.randint(1, 8))
    if rng.random() < 0.3:
        words[0] = words[0].capitalize()
    return " ".join(words) + rng.choice(("", "", ".", "!", "?"))
