"""Random strings to copy, and invented words and topics outside the lexicon."""

import random
import string

NONCE_LENGTH = 8
ALPHABETS = {
    "hex": "0123456789abcdef",
    "lower": string.ascii_lowercase,
    "lower alphanumeric": string.ascii_lowercase + string.digits,
    "mixed alphanumeric": string.ascii_letters + string.digits,
    "upper": string.ascii_uppercase,
    "upper alphanumeric": string.ascii_uppercase + string.digits,
    "letters": string.ascii_letters,
}
ONSETS = "b c d f g h j k l m n p r s t v w z br ch cl cr dr fl gr pl pr sh sl sp st th tr".split()
VOWELS = "a e i o u ai ea oo ou".split()
CODAS = ["", "", "", "n", "r", "l", "s", "t", "m", "nd", "ck", "ng"]
SCRIPTS = (
    (0xC0, 0x17F),
    (0x391, 0x3C9),
    (0x410, 0x44F),
    (0x3041, 0x3096),
    (0x4E00, 0x9FFF),
    (0x1F300, 0x1F64F),
)
"""Code point ranges of foreign topics: Latin, Greek, Cyrillic, Kana, Han, pictographs."""


def random_nonce(rng: random.Random, kind: str | None = None) -> str:
    """[8] characters, each drawn alike from the alphabet of a kind."""
    alphabet = ALPHABETS[kind or rng.choice(list(ALPHABETS))]
    return "".join(rng.choices(alphabet, k=NONCE_LENGTH))


def invented_word(rng: random.Random) -> str:
    """A word that looks English and is not; never eight letters long, that would be a nonce."""
    if rng.random() < 0.12:
        return odd_token(rng)
    while True:
        parts = rng.choices((1, 2, 3, 4), weights=(2, 4, 3, 1))[0]
        word = "".join(rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(CODAS) for _ in range(parts))
        if 2 < len(word) != NONCE_LENGTH:
            return word


def odd_token(rng: random.Random) -> str:
    """Letters and digits of another length than a nonce; it begins with a letter."""
    alphabet = ALPHABETS[rng.choice(list(ALPHABETS))]
    length = rng.choice((3, 4, 5, 6, 7, 9, 10))
    return rng.choice(string.ascii_letters) + "".join(rng.choices(alphabet, k=length - 1))


def foreign_word(rng: random.Random) -> str:
    """A short run of characters of one script."""
    low, high = rng.choice(SCRIPTS)
    return "".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 6)))
