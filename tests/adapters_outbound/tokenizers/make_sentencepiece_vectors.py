"""Make `sentencepiece_vectors.json`: small vocabularies, and what SentencePiece itself says of a few texts.

Run from the repository root in an environment that has `sentencepiece`, `protobuf` and `tokenizers`, which
this project needs for nothing else: python -m tests.adapters_outbound.tokenizers.make_sentencepiece_vectors
"""

import io
import json
import random
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.adapters_outbound.tokenizers.make_vectors import CORPUS, TEXTS

# neither is installed where the types are checked
sentencepiece: Any = import_module("sentencepiece")
model_pb2: Any = import_module("sentencepiece.sentencepiece_model_pb2")

NUM_RANDOM_TEXTS = 40
ALPHABET = "  the\u2581llama,.\n\u00e9\u1ed7\u706b\U0001f999aab0"

# what differs from the trainer's defaults, and which scores are made equal
SETS: dict[str, dict[str, Any]] = {
    "byte fallback": {"byte_fallback": True},
    "equal scores": {"byte_fallback": True, "split_by_whitespace": False},
    "no bytes": {"byte_fallback": False},
    "no space prefix": {"byte_fallback": True, "add_dummy_prefix": False},
    "unused steps": {"byte_fallback": True},
}


def main() -> None:
    rows = [json.dumps(vector_set(name, options), separators=(",", ":")) for name, options in SETS.items()]
    text = "[\n" + ",\n".join(rows) + "\n]\n"
    Path(__file__).with_name("sentencepiece_vectors.json").write_text(text, encoding="ascii")


def vector_set(name: str, options: dict[str, Any]) -> dict[str, object]:
    model = train(options)
    words = [piece for piece in model.pieces if piece.type == 1 and len(piece.piece) > 1]
    for number, piece in enumerate(words):
        if name == "equal scores":
            piece.score = -float(number // 8)
        if name == "unused steps" and number % 3 == 0:
            piece.type = 5
    oracle = sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())
    texts = [*TEXTS.values(), *random_texts()]
    return {
        "name": name,
        "tokens": [piece.piece for piece in model.pieces],
        "scores": [piece.score for piece in model.pieces],
        "token_type": [piece.type for piece in model.pieces],
        "add_space_prefix": options.get("add_dummy_prefix", True),
        "vectors": [{"text": text, "ids": oracle.encode(text)} for text in texts],
    }


def train(options: dict[str, Any]) -> Any:
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS),
        model_writer=written,
        model_type="bpe",
        vocab_size=500,
        character_coverage=0.98,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        minloglevel=2,
        **options,
    )
    model = model_pb2.ModelProto()
    model.ParseFromString(written.getvalue())
    return model


def random_texts() -> list[str]:
    generator = random.Random(7)
    return ["".join(generator.choices(ALPHABET, k=generator.randint(1, 30))) for _ in range(NUM_RANDOM_TEXTS)]


if __name__ == "__main__":
    main()
