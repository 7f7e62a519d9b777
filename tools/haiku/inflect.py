"""English inflection with syllables: plurals, third persons, participles and the article."""

VOWELS = frozenset("aeiou")
SIBILANTS = ("s", "x", "z", "ch", "sh")
SOFT_E = ("ce", "ge", "se", "ze")
AN_DESPITE_CONSONANT = frozenset({"honest", "hour", "heir"})
A_DESPITE_VOWEL = frozenset({"one", "once", "useful", "universe", "unit", "union", "user"})


def with_s(word: str, syllables: int) -> tuple[str, int]:
    """Add the -s of a plural noun or of a third person; a hissing end makes it a syllable more."""
    if word.endswith(SIBILANTS):
        return word + "es", syllables + 1
    if word == "echo":
        return "echoes", syllables
    if word.endswith("y") and word[-2:-1] not in VOWELS:
        return word[:-1] + "ies", syllables
    return word + "s", syllables + (1 if word.endswith(SOFT_E) else 0)


def third_person(verb: str, syllables: int) -> tuple[str, int]:
    """Inflect the first word of a verb phrase: "carry on" gives "carries on"."""
    head, space, tail = verb.partition(" ")
    inflected, total = with_s(head, syllables)
    return inflected + space + tail, total


def participle(verb: str, syllables: int, *, doubles: bool) -> tuple[str, int]:
    """The -ing form of the first word: always one syllable more than the base."""
    head, space, tail = verb.partition(" ")
    if head.endswith("ie"):
        stem = head[:-2] + "y"
    elif head.endswith("e") and not head.endswith(("ee", "oe")):
        stem = head[:-1]
    else:
        stem = head + head[-1] if doubles else head
    return stem + "ing" + space + tail, syllables + 1


def article(next_word: str) -> str:
    """Choose "a" or "an" by the first sound of the word that follows."""
    word = next_word.lower()
    if word in AN_DESPITE_CONSONANT:
        return "an"
    return "an" if word[:1] in VOWELS and word not in A_DESPITE_VOWEL else "a"
