"""Qwen 2 and Phi-3 with their real ids, as llama.cpp's own tests expect them.

`real_vectors.json` holds the part of each vocabulary that the texts can need; `make_real_vectors.py` made it.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters_outbound.tokenizers.factory import build_tokenizer
from adapters_outbound.tokenizers.vocabulary import TokenType
from ports.model_file import MetadataValue
from ports.tokenizer import Tokenizer

pytestmark = pytest.mark.req("M0-W-1362", "M0-W-1363")

FIXTURES: dict[str, Any] = json.loads(
    Path(__file__).with_name("real_vectors.json").read_text(encoding="ascii")
)
LEAST_NUM_PAIRS = 20
VECTORS = [
    pytest.param(name, vector["text"], vector["ids"], id=f"{name}: {number}")
    for name, fixture in FIXTURES.items()
    for number, vector in enumerate(fixture["vectors"])
]


@cache
def tokenizer_of(name: str) -> Tokenizer:
    """As the model's own file has it, every id in its place; those left out have no text."""
    fixture = FIXTURES[name]
    size = fixture["vocab_size"]
    tokens = [f"[unused {token_id}]" for token_id in range(size)]
    types, scores = np.full(size, TokenType.UNUSED, np.int32), np.zeros(size, np.float32)
    for number, (token, token_id) in enumerate(fixture["tokens"].items()):
        tokens[token_id], types[token_id] = token, fixture["token_type"][number]
        scores[token_id] = fixture["scores"][number] if fixture["scores"] else 0
    metadata: dict[str, MetadataValue] = {
        **{f"tokenizer.ggml.{key}": value for key, value in fixture["keys"].items()},
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.scores": scores,
        "tokenizer.ggml.merges": fixture["merges"],
    }
    return build_tokenizer(metadata, path=f"{name}.gguf")


@pytest.mark.parametrize(("name", "text", "ids"), VECTORS)
def test_the_ids_are_the_models(name: str, text: str, ids: list[int]) -> None:
    assert ids == tokenizer_of(name).encode(text, add_bos=False, parse_special=False)


@pytest.mark.parametrize(("name", "text", "ids"), VECTORS)
def test_the_models_ids_decode_to_the_text(name: str, text: str, ids: list[int]) -> None:
    blank_before = " " if name == "phi-3" and text else ""

    assert blank_before + text == b"".join(map(tokenizer_of(name).decode_bytes, ids)).decode()


@pytest.mark.parametrize("fixture", FIXTURES.values(), ids=FIXTURES)
def test_there_are_as_many_pairs_as_are_asked_for(fixture: dict[str, Any]) -> None:
    assert len(fixture["vectors"]) >= LEAST_NUM_PAIRS
