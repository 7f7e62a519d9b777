"""Checks on the vocabulary that hold for every architecture."""

from domain.metadata import optional_int, refusal, require_int
from ports.model_file import ModelFile

_TOKENS_KEY = "tokenizer.ggml.tokens"
_ID_KEYS = ("bos_token_id", "eos_token_id", "eot_token_id", "eom_token_id")  # those a generation turns on


def check_vocabulary(file: ModelFile, architecture: str, vocab_size: int) -> None:
    """Hold what the file says of its vocabulary against the rows of the embedding.

    Raises:
        ModelLoadFailed: a count differs from `vocab_size`, or a special token's id lies outside.
    """
    size_key = f"{architecture}.vocab_size"
    declared = optional_int(file, size_key, default=vocab_size, minimum=1, maximum=2**31)
    _expect_size(file, size_key, declared, vocab_size)
    tokens = file.metadata.get(_TOKENS_KEY)
    if isinstance(tokens, list):
        _expect_size(file, f"length of {_TOKENS_KEY}", len(tokens), vocab_size)
    for key in (f"tokenizer.ggml.{name}" for name in _ID_KEYS):
        if key in file.metadata:
            require_int(file, key, minimum=0, maximum=vocab_size - 1)


def _expect_size(file: ModelFile, check: str, actual: int, vocab_size: int) -> None:
    if actual != vocab_size:
        expected = f"{vocab_size}, the rows of token_embd.weight"
        raise refusal(file, check, expected=expected, actual=str(actual))
