"""Make `real_vectors.json`: real ids of Qwen 2 and Phi-3, as llama.cpp's own tests expect them.

    WORKER_ORCD_TEST_DATA=FOLDER python -m tests.adapters_outbound.tokenizers.make_real_vectors

FOLDER/vocab holds llama.cpp's `models/ggml-vocab-*.gguf` with their `.inp` and `.out`. Of each, only those
tokens are kept whose text occurs in the texts: no other can take part in encoding them.
"""

import json
import os
from pathlib import Path
from typing import Any

from gguf import GGUFReader

from adapters_outbound.tokenizers.byte_alphabet import CHARACTER_OF_BYTE
from adapters_outbound.tokenizers.vocabulary import TokenType
from tests.adapters_outbound.tokenizers.test_shared_vocabularies import texts_and_ids

NAMES = ("qwen2", "phi-3")
KEPT_KEYS = ("model", "pre", "bos_token_id", "eos_token_id", "add_bos_token", "add_space_prefix")


def main() -> None:
    folder = Path(os.environ["WORKER_ORCD_TEST_DATA"]) / "vocab"
    rows = ",\n".join(f'"{name}":{json.dumps(fixture(folder, name))}' for name in NAMES)
    Path(__file__).with_name("real_vectors.json").write_text(f"{{\n{rows}\n}}\n", encoding="ascii")


def fixture(folder: Path, name: str) -> dict[str, Any]:
    fields = GGUFReader(folder / f"ggml-vocab-{name}.gguf").fields
    values = {key.removeprefix("tokenizer.ggml."): field.contents() for key, field in fields.items()}
    pairs = texts_and_ids(name)
    written = [as_written(text, values["model"]) for text, _ in pairs]
    tokens = {
        token: token_id
        for token_id, token in enumerate(values["tokens"])
        if values["token_type"][token_id] in (TokenType.CONTROL, TokenType.UNKNOWN, TokenType.BYTE)
        or len(token) == 1
        or any(token in text for text in written)
    }
    merges = [merge for merge in values.get("merges", []) if "".join(merge.split(" ")) in tokens]
    return {
        "keys": {key: values[key] for key in KEPT_KEYS if key in values},
        "vocab_size": len(values["tokens"]),
        "tokens": tokens,
        "token_type": [int(values["token_type"][token_id]) for token_id in tokens.values()],
        "scores": [values["scores"][token_id] for token_id in tokens.values()] if "scores" in values else [],
        "merges": [merge for merge in merges if all(part in tokens for part in merge.split(" "))],
        "vectors": [{"text": text, "ids": ids} for text, ids in pairs],
    }


def as_written(text: str, model: str) -> str:
    """The text in the characters that tokens are written in."""
    if model == "llama":
        return f" {text}".replace(" ", "\u2581")
    return "".join(CHARACTER_OF_BYTE[byte] for byte in text.encode())


if __name__ == "__main__":
    main()
