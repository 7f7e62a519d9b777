"""Make `vectors.json`: three small vocabularies, and what the `tokenizers` library says of a few texts.

Run from the repository root: python -m tests.adapters_outbound.tokenizers.make_vectors
Nothing of this project takes part: the ids are those of a tokenizer that the library assembles as it does
from the model's own `tokenizer.json`.
"""

import json
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, PreTokenizer, Sequence, Split
from tokenizers.trainers import BpeTrainer

CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|im_end|>\n"]
USER_DEFINED = ["<tool>", "<tool> <tool>", "\t\t\t"]
WHOLE_WORDS = ["Ġzebra", "quiz", "777"]  # tokens that no merge makes
PADDING = 3

# copied from the tokenizer.json of Qwen/Qwen2-7B and meta-llama/Meta-Llama-3-8B; GPT-2's is in the library
QWEN_2 = (
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
    "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
)
LLAMA_3 = (
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
    "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
)
PRE_TOKENIZERS: dict[str, PreTokenizer] = {
    "gpt-2": ByteLevel(add_prefix_space=False, use_regex=True),
    "qwen2": Sequence([Split(Regex(QWEN_2), "isolated"), ByteLevel(add_prefix_space=False, use_regex=False)]),
    "llama-bpe": Sequence(
        [Split(Regex(LLAMA_3), "isolated"), ByteLevel(add_prefix_space=False, use_regex=False)]
    ),
}

CORPUS = [
    "The llama looked at the train, and the train looked at the llama. They weren't in a hurry, we'll say.",
    "I've told him he's there, I'd say, and I'm sure you're right; they'll THINK. WE'LL SEE, I'M SURE",
    "THE TRAIN AND THE LLAMA, THE BRIDGE AND THE RIVER: THEY THINK THE REST, THEN THE END OF THE LINE.",
    "def ids(text):\n    for token in text:\n        if token == 'the':\n            yield it\n\n\n    pass",
    "In 2024 there were 1000 trains, 33 stations, 333 tracks and 3333 tickets at 12.50 each, 100 % sold.",
    "Der Zug fährt über die Brücke. Où est la gare? Поезд идёт по мосту, поезд идёт. 火车在桥上,火车来了。",
    "!!!!!! ...... ------ ====== ?????? (yes) [no] {maybe} <tag> </tag> 🚀🚀 🦙🦙 and tabs\t\tand    spaces",
]

TEXTS = {
    "plain": "The llama looked at the train.",
    "leading blank": " there",
    "contractions, both cases": "I've WE'VE he's HE'S they'll THEY'LL I'm I'M you'd YOU'D can't CAN'T we're",
    "quotation marks that look like contractions": "'THE 'the 'THEN 'then 'Sure 'SURE 'llama 'LLAMA",
    "contraction with a long s": "it'\u017f",
    "empty string": "",
    "one blank": " ",
    "runs of blanks": "a  b   c    d     e",
    "trailing blanks": "the end   ",
    "newlines and blanks": "one\n\n two \n\n\n  three\r\n\r\nfour \t\n",
    "tabs": "a\tb\t\tc",
    "no-break and wide blanks": "a\u00a0b\u2003c\u3000d",
    "digits": "1 12 123 1234 12345 3.14 1,000,000 777 7777",
    "digits of other scripts": "\u0663\u0664\u0665 \u4e8c\u5341 \u00bd \u2167 x\u00b2",
    "punctuation": "!!?... (a)[b]{c} #1 a_b a-b --- \n=",
    "punctuation before a newline": "end.\nnext;\n\n}",
    "two-byte characters": "über Brücke Поезд",
    "three-byte characters": "火车在桥上,来了。",
    "four-byte characters": "🚀🦙 👩\u200d👩\u200d👧 𝄞",
    "combining marks": "e\u0301a\u0308 \u1ed7 កាន់តែ",
    "right to left": "שלום עולם مرحبا",
    "control characters": "a\x00b\x01c\x1b[0m\x7f\u0085\u2028z",
    "replacement character and BOM": "\ufeffa\ufffdb",
    "whole words that no merge makes": "quiz zebra quizz 777",
    "code": "def f(x):\n    return x == 'the' # \u00fcber\n",
    "very long": "The llama looked at the train. " * 60,
    "one very long word": "the" * 400,
    "control markup": "<|im_start|>user\nHi<|im_end|>\n<|im_start|>",
    "control markup between words": "a <|endoftext|> b",
    "overlapping markup": "<|im_end|><|im_end|>\n\n<|im_<|im_end|>",
    "broken markup": "<|im_end| > <|im_end",
    "user-defined": "x<tool>y <tool> z",
    "overlapping user-defined": "<tool> <tool> <tool>\t\t\t\t",
}


def main() -> None:
    fixtures = [fixture(pre, pre_tokenizer) for pre, pre_tokenizer in PRE_TOKENIZERS.items()]
    rows = ",\n".join(json.dumps(row, ensure_ascii=True, separators=(",", ":")) for row in fixtures)
    Path(__file__).with_name("vectors.json").write_text(f"[\n{rows}\n]\n", encoding="ascii")


def fixture(pre: str, pre_tokenizer: PreTokenizer) -> dict[str, object]:
    oracle = train(pre, pre_tokenizer)
    merges = [" ".join(pair) for pair in json.loads(oracle.to_str())["model"]["merges"]]
    num_words = oracle.get_vocab_size(with_added_tokens=False)
    tokens = sorted(oracle.get_vocab(), key=oracle.get_vocab().__getitem__)
    padding = [f"[PAD{len(tokens) + number}]" for number in range(PADDING)]
    types = [1] * num_words + [3] * len(CONTROL) + [4] * len(USER_DEFINED) + [5] * PADDING
    return {
        "pre": pre,
        "tokens": tokens + padding,
        "token_type": types,
        "merges": merges,
        "bos_token_id": oracle.token_to_id("<|endoftext|>"),
        "eos_token_id": oracle.token_to_id("<|im_end|>"),
        "vectors": [
            vector(oracle, name, parse_special)
            for name, text in TEXTS.items()
            for parse_special in ((False, True) if "<" in text else (False,))
        ],
    }


def train(pre: str, pre_tokenizer: PreTokenizer) -> Tokenizer:
    learner = Tokenizer(BPE())
    learner.pre_tokenizer = pre_tokenizer
    alphabet = ByteLevel.alphabet()
    learner.train_from_iterator(
        CORPUS, BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    )
    model = json.loads(learner.to_str())["model"]
    vocab = model["vocab"] | {word: len(model["vocab"]) + number for number, word in enumerate(WHOLE_WORDS)}
    merges = [(left, right) for left, right in model["merges"]]
    tokenizer = Tokenizer(BPE(vocab, merges, ignore_merges=pre == "llama-bpe"))
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = ByteLevelDecoder()
    tokenizer.add_special_tokens([AddedToken(text, normalized=False) for text in CONTROL])
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in USER_DEFINED])
    return tokenizer


def vector(oracle: Tokenizer, name: str, parse_special: bool) -> dict[str, object]:
    oracle.encode_special_tokens = not parse_special
    ids = oracle.encode(TEXTS[name], add_special_tokens=False).ids
    decoded = oracle.decode(ids, skip_special_tokens=True)
    return {
        "description": name,
        "text": TEXTS[name],
        "parse_special": parse_special,
        "ids": ids,
        "decoded": decoded,
    }


if __name__ == "__main__":
    main()
