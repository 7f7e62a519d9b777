# ruff: noqa: RUF001  the patterns are quoted as they are
"""Make `word_vectors.json`: where every pre-tokenizer cuts a few texts, by the `regex` package.

Another engine than the one under test, and each pattern written out as llama.cpp's `llama-vocab.cpp` has it,
in the form it quotes from the model's `tokenizer.json` where it does. Run from the repository root in an
environment that has `regex` and `tokenizers`:
python -m tests.adapters_outbound.tokenizers.make_word_vectors
"""

import json
import random
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.adapters_outbound.tokenizers.make_vectors import TEXTS

# not installed where the types are checked
regex: Any = import_module("regex")

NUM_RANDOM_TEXTS = 60
# cased and caseless letters of several scripts, marks, digits, punctuation, blanks: what the patterns name
ALPHABET = (
    "abStmDLleRvVE'''   \n\n\r\t12390.,!?/-$+<=|`^~(_\u00e9\u00b5\u03a9\u0416\u01c5\u02b0\u0301\u0e34"
    "\u4e00\u706b\u3042\u30ab\uac00\u3131\u05d0\u0633\u0967\u00bd\u2167\uff01\uff21\u3002\u060c\u2026\u00a0"
    "\u3000\U0001f680\u20ac"
)
MORE_TEXTS = [
    "<sentinel:12>x IMGIMGABCZ IMGIMGAZ",
    "  x    y",
    "1234567 12 1234x 1,000",
    "a b c\u0301 d",
    " " * 21,
]

CONTRACTION = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
CASED = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+@?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*@?"
)
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"
LETTERS = (
    "A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝ"
    "Ὗ-\u1f7dᾀ-ᾴᾶ-ᾼ\u1fbeῂ-ῄῆ-ῌῐ-\u1fd3ῖ-\u1fdbῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ\u2126ℨ\u212a-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳ"
    "Ꙁ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃"
)
V3 = (
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
GPT4O = CASED.replace("@", CONTRACTION) + r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
BLOOM = " ?[^(\\s|.,!?…。，、।۔،)]+"

PATTERNS: dict[str, list[str]] = {
    "gpt-2": [GPT2],
    "qwen2": [QWEN2],
    "llama-bpe": [
        CONTRACTION
        + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ],
    "qwen35": [
        CONTRACTION
        + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ],
    "gpt-4o": [GPT4O],
    "tekken": [CASED.replace("@?", "") + r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"],
    "youtu": [
        "[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+",
        CASED.replace("@", CONTRACTION) + r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ],
    "starcoder": [r"\p{N}", GPT2],
    "falcon": [r"[\p{P}\$\+<=>\^~\|`]+", GPT2, "[0-9][0-9][0-9]"],
    "chameleon": [
        "<sentinel:[0-9]+>",
        "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z",
        "([\\t\\n]|    |  )",
        r"\p{N}",
        r"[\p{P}!-/:-@\[-`{-~]",
        GPT2,
    ],
    "deepseek-llm": [
        r"[\r\n]",
        rf"\s?[{LETTERS}]+",
        "\\s?[!-/:-~！-／：-～‘-‟\u3000-。]+",
        r"\s+$",
        "[一-龥ࠀ-一가-퟿]+",
        r"\p{N}+",
    ],
    "deepseek-coder": [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+", r"\p{N}"],
    "deepseek-v3": [r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", V3],
    "spark2_5": [
        r"\p{N}{1,3}",
        "[一-龥぀-ゟ゠-ヿ]+",
        V3.replace(r"[\r\n]*|\s*[\r\n]+", r"|[\r\n]"),
        r"\p{N}",
    ],
    "bloom": [BLOOM],
    "viking": [BLOOM, r"\p{N}"],
    "bailingmoe": [
        r"'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}"
        r"| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
    ],
    "exaone-moe": [
        CONTRACTION + r"|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?"
        r"|\s*[\r\n]|\s+(?!\S)|\s+"
    ],
    "jais-2": [
        CONTRACTION
        + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s{512}(?!\S)"
        r"|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)"
        r"|\s{1,2}(?!\S)|\s{1}"
    ],
    "laguna": [r"[^\n]+|[\n]+", QWEN2],
    "minicpm5": [r"\p{N}{1,3}", QWEN2.replace(r"|\p{N}|", r"|\p{N}+|")],
    "seed-coder": [
        CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+"
    ],
    "ufakzeka": [QWEN2.removeprefix(CONTRACTION + "|")],
}


def main() -> None:
    texts = [*(text for name, text in TEXTS.items() if "long" not in name), *MORE_TEXTS, *random_texts()]
    lengths = {name: [cut(text, patterns) for text in texts] for name, patterns in PATTERNS.items()}
    rows = ",\n".join(
        f"{json.dumps(name)}:{json.dumps(rows, separators=(',', ':'))}" for name, rows in lengths.items()
    )
    path = Path(__file__).with_name("word_vectors.json")
    path.write_text(f'{{"texts":{json.dumps(texts)},\n"lengths":{{\n{rows}\n}}}}\n', encoding="ascii")


def cut(text: str, patterns: list[str]) -> list[int]:
    """The lengths of the words of `text`."""
    words = [text]
    for pattern in patterns:
        words = [piece for word in words for piece in pieces(word, pattern)]
    return [len(word) for word in words]


def pieces(word: str, pattern: str) -> list[str]:
    ends = {0, len(word)}
    for match in regex.finditer(pattern, word):
        ends |= {match.start(), match.end()}
    cuts = sorted(ends)
    return [word[start:end] for start, end in pairwise(cuts)]


def random_texts() -> list[str]:
    generator = random.Random(11)
    return ["".join(generator.choices(ALPHABET, k=generator.randint(2, 40))) for _ in range(NUM_RANDOM_TEXTS)]


if __name__ == "__main__":
    main()
