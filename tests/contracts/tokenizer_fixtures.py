"""Every tokenizer there is, for the contract suite. A new adapter is one more line in `TOKENIZERS`."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from adapters_outbound.tokenizers.factory import build_tokenizer
from ports.tokenizer import Tokenizer
from tests.adapters_outbound.tokenizers.vectors import load_vector_sets


@dataclass(frozen=True)
class TokenizerCase:
    """A tokenizer, and what the suite must know of its vocabulary."""

    build: Callable[[], Tokenizer]
    control_text: str
    control_id: int
    user_defined_text: str
    user_defined_id: int


def gguf_bpe(pre: str) -> TokenizerCase:
    vectors = load_vector_sets()[pre]
    return TokenizerCase(
        build=lambda: build_tokenizer(vectors.metadata, path="vectors.json"),
        control_text="<|im_end|>",
        control_id=vectors.id_of("<|im_end|>"),
        user_defined_text="<tool>",
        user_defined_id=vectors.id_of("<tool>"),
    )


TOKENIZERS = [
    pytest.param(gguf_bpe("gpt-2"), id="gguf-bpe, gpt-2"),
    pytest.param(gguf_bpe("qwen2"), id="gguf-bpe, qwen2"),
    pytest.param(gguf_bpe("llama-bpe"), id="gguf-bpe, llama-bpe"),
]
