"""The small vocabularies and vectors of `vectors.json`, which `make_vectors.py` made."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from ports.model_file import MetadataValue


@dataclass(frozen=True)
class Vector:
    """One text and what the `tokenizers` library makes of it."""

    description: str
    text: str
    parse_special: bool
    ids: list[int]
    decoded: str


@dataclass(frozen=True)
class VectorSet:
    """One vocabulary and its vectors."""

    pre: str
    metadata: dict[str, MetadataValue]
    vectors: list[Vector]

    def id_of(self, token: str) -> int:
        tokens = self.metadata["tokenizer.ggml.tokens"]
        assert isinstance(tokens, list)
        return tokens.index(token)


@cache
def load_vector_sets() -> dict[str, VectorSet]:
    """All sets, by the name of their pre-tokenizer."""
    rows = json.loads(Path(__file__).with_name("vectors.json").read_text(encoding="ascii"))
    return {
        row["pre"]: VectorSet(
            pre=row["pre"],
            metadata={
                "tokenizer.ggml.model": "gpt2",
                "tokenizer.ggml.pre": row["pre"],
                "tokenizer.ggml.tokens": row["tokens"],
                "tokenizer.ggml.token_type": np.array(row["token_type"], dtype=np.int32),
                "tokenizer.ggml.merges": row["merges"],
                "tokenizer.ggml.bos_token_id": row["bos_token_id"],
                "tokenizer.ggml.eos_token_id": row["eos_token_id"],
            },
            vectors=[Vector(**vector) for vector in row["vectors"]],
        )
        for row in rows
    }
