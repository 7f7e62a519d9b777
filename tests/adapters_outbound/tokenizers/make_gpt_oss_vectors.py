"""Make `gpt_oss_vectors.json`: GPT-OSS's ids of a few texts, from the publisher's vocabulary and library.

    TIKTOKEN_ENCODINGS_BASE=FOLDER python -m tests.adapters_outbound.tokenizers.make_gpt_oss_vectors

FOLDER holds o200k_base.tiktoken; the ids are made by `openai_harmony`, which is needed for this alone. Of the
200,000 tokens only those are kept whose bytes occur in the texts: no other can take part in encoding them.
"""

import base64
import hashlib
import importlib
import json
import os
from pathlib import Path

from adapters_outbound.tokenizers.byte_alphabet import CHARACTER_OF_BYTE
from tests.adapters_outbound.tokenizers.make_vectors import TEXTS as COMMON_TEXTS

# as tiktoken pins it: tiktoken_ext/openai_public.py, `o200k_base`
SHA_256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
SPECIALS = {
    "<|startoftext|>": 199998,
    "<|endoftext|>": 199999,
    "<|return|>": 200002,
    "<|constrain|>": 200003,
    "<|channel|>": 200005,
    "<|start|>": 200006,
    "<|end|>": 200007,
    "<|message|>": 200008,
    "<|call|>": 200012,
}
TEXTS = {name: text for name, text in COMMON_TEXTS.items() if "<|" not in text} | {
    "harmony prompt": "<|start|>user<|message|>What is 2 + 2?<|end|><|start|>assistant",
    "harmony answer": "<|channel|>analysis<|message|>Easy.<|end|><|channel|>final<|message|>4<|return|>",
    "harmony call": '<|channel|>commentary to=f <|constrain|>json<|message|>{"a":1}<|call|>',
    "BOS and EOS": "<|startoftext|>Hi<|endoftext|>",
    "both cases": "HelloWorld iPhone McDonald's DON'T don't OpenAI's ÉCOLE École école ǅ",
    "slashes and newlines": "a/b//\n/etc/hosts\r\n\r\n// end /\n\n",
}


def main() -> None:
    ranks = read_ranks(Path(os.environ["TIKTOKEN_ENCODINGS_BASE"]) / "o200k_base.tiktoken")
    encoding = importlib.import_module("openai_harmony").load_harmony_encoding("HarmonyGptOss")
    vectors = [vector(encoding, name, special) for name in TEXTS for special in specials_of(TEXTS[name])]
    texts = [text.encode() for text in TEXTS.values()]
    kept = {token: rank for token, rank in ranks.items() if len(token) == 1 or any(token in t for t in texts)}
    fixture = {
        "source": f"o200k_base.tiktoken, SHA-256 {SHA_256}; ids by openai_harmony, HarmonyGptOss",
        "tokens": {written(token): rank for token, rank in sorted(kept.items(), key=lambda it: it[1])},
        "merges": merges_of(kept),
        "specials": SPECIALS,
        "vectors": vectors,
    }
    rows = ",\n".join(f"{json.dumps(key)}:{json.dumps(value)}" for key, value in fixture.items())
    Path(__file__).with_name("gpt_oss_vectors.json").write_text(f"{{\n{rows}\n}}\n", encoding="ascii")


def read_ranks(path: Path) -> dict[bytes, int]:
    """Tokens and their ids, which are the ranks of their merges, too."""
    content = path.read_bytes()
    assert hashlib.sha256(content).hexdigest() == SHA_256
    pairs = (line.split() for line in content.splitlines())
    return {base64.b64decode(token): int(rank) for token, rank in pairs}


def specials_of(text: str) -> tuple[bool, ...]:
    return (True, False) if "<|" in text else (False,)


def vector(encoding: object, name: str, parse_special: bool) -> dict[str, object]:
    options = {"allowed_special": "all"} if parse_special else {"disallowed_special": ()}
    ids = encoding.encode(TEXTS[name], **options)  # type: ignore[attr-defined]  # not installed where types are checked
    return {"description": name, "text": TEXTS[name], "parse_special": parse_special, "ids": ids}


def merges_of(ranks: dict[bytes, int]) -> list[list[str]]:
    """Every pair of tokens that makes a token, by the rank of what it makes, as `transformers` does it."""
    merges = [
        (rank, ranks[token[:cut]], ranks[token[cut:]], token, cut)
        for token, rank in ranks.items()
        for cut in range(1, len(token))
        if token[:cut] in ranks and token[cut:] in ranks
    ]
    return [[written(token[:cut]), written(token[cut:])] for *_, token, cut in sorted(merges)]


def written(token: bytes) -> str:
    return "".join(CHARACTER_OF_BYTE[byte] for byte in token)


if __name__ == "__main__":
    main()
