"""The small vocabularies and vectors of `sentencepiece_vectors.json`, which SentencePiece itself made."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from adapters_outbound.tokenizers.vocabulary import TokenType
from ports.model_file import MetadataValue


@dataclass(frozen=True)
class SentencePieceSet:
    """One vocabulary, and the ids of some texts."""

    name: str
    tokens: list[str]
    scores: list[float]
    token_type: list[int]
    add_space_prefix: bool
    vectors: list[tuple[str, list[int]]]

    def metadata(self, *added: tuple[str, TokenType], **keys: MetadataValue) -> dict[str, MetadataValue]:
        """Metadata with the tokens `added` after all others, and `keys` of `tokenizer.ggml` set."""
        metadata: dict[str, MetadataValue] = {
            "tokenizer.ggml.model": "llama",
            "tokenizer.ggml.tokens": self.tokens + [token for token, _ in added],
            "tokenizer.ggml.scores": np.array(self.scores + [0.0] * len(added), dtype=np.float32),
            "tokenizer.ggml.token_type": np.array(
                self.token_type + [token_type for _, token_type in added], dtype=np.int32
            ),
            "tokenizer.ggml.bos_token_id": self.tokens.index("<s>"),
            "tokenizer.ggml.eos_token_id": self.tokens.index("</s>"),
            "tokenizer.ggml.add_space_prefix": self.add_space_prefix,
        }
        return metadata | {f"tokenizer.ggml.{key}": value for key, value in keys.items()}


@cache
def load_sentencepiece_sets() -> dict[str, SentencePieceSet]:
    """All sets, by name."""
    path = Path(__file__).with_name("sentencepiece_vectors.json")
    rows = json.loads(path.read_text(encoding="ascii"))
    return {
        row["name"]: SentencePieceSet(
            **row | {"vectors": [(vector["text"], vector["ids"]) for vector in row["vectors"]]}
        )
        for row in rows
    }
