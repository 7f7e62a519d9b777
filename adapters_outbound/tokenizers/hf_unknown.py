"""What the model of a `tokenizer.json` makes of text for which it has no token."""

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from tokenizers.models import Unigram, WordLevel, WordPiece

from adapters_outbound.tokenizers.byte_alphabet import CHARACTER_OF_BYTE, UTF8_BYTES
from adapters_outbound.tokenizers.json_file import refuse_file


def check_unknown(tokenizer: Tokenizer, content: dict[str, Any], path: Path) -> None:
    """Refuse a model on which some text raises: the worker would start, and fail on ordinary prompts.

    BPE raises on none; it takes bytes for what is unknown, or leaves it out.

    Args:
        tokenizer: of the file.
        content: of the file, which the library has loaded.
        path: of the file, for messages.

    Raises:
        ModelLoadFailed: the model needs a token for what is unknown and has none.
    """
    model, vocabulary = tokenizer.model, tokenizer.get_vocab(with_added_tokens=False)
    match model:
        case Unigram():
            has_token = content["model"].get("unk_id") is not None or _has_every_byte(vocabulary)
        case WordLevel() | WordPiece():
            has_token = model.unk_token in vocabulary
        case _:
            return
    if not has_token:
        kind = type(model).__name__
        refuse_file(path, f"a token for what is unknown, which {kind} needs", actual="no such token")


def _has_every_byte(vocabulary: dict[str, int]) -> bool:
    """Whether nothing is unknown, as where text is mapped to characters that stand for bytes."""
    return all(CHARACTER_OF_BYTE[byte] in vocabulary for byte in UTF8_BYTES)
