"""Every tokenizer there is, for the contract suite. A new adapter is one more line in `TOKENIZERS`."""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import tokenizers

from adapters_outbound.tokenizers.factory import build_tokenizer
from adapters_outbound.tokenizers.hf_json import build_hf_json
from adapters_outbound.tokenizers.vocabulary import TokenType
from ports.tokenizer import Tokenizer
from tests.adapters_outbound.tokenizers.hf_files import byte_level_tokenizer, save, sentencepiece_tokenizer
from tests.adapters_outbound.tokenizers.sentencepiece_sets import load_sentencepiece_sets
from tests.adapters_outbound.tokenizers.vectors import load_vector_sets


@dataclass(frozen=True)
class TokenizerCase:
    """A tokenizer, and what the suite must know of its vocabulary."""

    build: Callable[[], Tokenizer]
    control_text: str
    control_id: int
    user_defined_text: str
    user_defined_id: int
    comes_back: Callable[[str], str]  # what a text between special tokens is when it has been there and back


def unchanged(text: str) -> str:
    return text


def blanks_for_marks(text: str) -> str:
    """SentencePiece writes a blank as U+2581 and has no other way to write that."""
    return text.replace("\u2581", " ")


def with_blank_before(text: str) -> str:
    """SentencePiece puts a blank before any text, unless the file says no."""
    return " " + blanks_for_marks(text) if text else ""


def gguf_bpe(pre: str) -> TokenizerCase:
    vectors = load_vector_sets()[pre]
    return TokenizerCase(
        build=lambda: build_tokenizer(vectors.metadata, path="vectors.json"),
        control_text="<|im_end|>",
        control_id=vectors.id_of("<|im_end|>"),
        user_defined_text="<tool>",
        user_defined_id=vectors.id_of("<tool>"),
        comes_back=unchanged,
    )


def gguf_sentencepiece(name: str) -> TokenizerCase:
    vectors = load_sentencepiece_sets()[name]
    size = len(vectors.tokens)
    metadata = vectors.metadata(("<|im_end|>", TokenType.CONTROL), ("<tool>", TokenType.USER_DEFINED))
    return TokenizerCase(
        build=lambda: build_tokenizer(metadata, path="vectors.json"),
        control_text="<|im_end|>",
        control_id=size,
        user_defined_text="<tool>",
        user_defined_id=size + 1,
        comes_back=with_blank_before if vectors.add_space_prefix else blanks_for_marks,
    )


def hf_json(tokenizer: tokenizers.Tokenizer, comes_back: Callable[[str], str], *, bos: str) -> TokenizerCase:
    def build() -> Tokenizer:
        with tempfile.TemporaryDirectory() as folder:
            config = json.dumps({"bos_token": bos, "eos_token": "<|im_end|>"})
            return build_hf_json(save(tokenizer, Path(folder), tokenizer_config=config))

    return TokenizerCase(
        build=build,
        control_text="<|im_end|>",
        control_id=tokenizer.get_vocab()["<|im_end|>"],
        user_defined_text="<tool>",
        user_defined_id=tokenizer.get_vocab()["<tool>"],
        comes_back=comes_back,
    )


TOKENIZERS = [
    pytest.param(gguf_bpe("gpt-2"), id="gguf-bpe, gpt-2"),
    pytest.param(gguf_bpe("qwen2"), id="gguf-bpe, qwen2"),
    pytest.param(gguf_bpe("llama-bpe"), id="gguf-bpe, llama-bpe"),
    pytest.param(gguf_sentencepiece("byte fallback"), id="gguf-bpe by score"),
    pytest.param(gguf_sentencepiece("equal scores"), id="gguf-bpe by score, blanks within tokens"),
    pytest.param(gguf_sentencepiece("no space prefix"), id="gguf-bpe by score, no blank first"),
    pytest.param(hf_json(byte_level_tokenizer(), unchanged, bos="<|endoftext|>"), id="hf-json, byte-level"),
    pytest.param(
        hf_json(sentencepiece_tokenizer(), with_blank_before, bos="<s>"), id="hf-json, bytes for unknown"
    ),
]
