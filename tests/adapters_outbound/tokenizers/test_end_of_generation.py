"""The end-of-generation ids of the reference models, from vocabularies that hold their tokens where they do.

GPT-OSS's are in test_gpt_oss.py; the real vocabularies of the others, where they are at hand, in
test_shared_vocabularies.py.
"""

import numpy as np
import pytest
from tokenizers.pre_tokenizers import ByteLevel

from adapters_outbound.tokenizers.factory import build_tokenizer
from adapters_outbound.tokenizers.vocabulary import TokenType
from ports.model_file import MetadataValue
from ports.tokenizer import Tokenizer

pytestmark = pytest.mark.req("M0-W-1422")

BYTES = sorted(ByteLevel.alphabet())
QWEN = {151643: "<|endoftext|>", 151644: "<|im_start|>", 151645: "<|im_end|>"}
PHI_3 = {
    32000: "<|endoftext|>",
    32001: "<|assistant|>",
    32006: "<|system|>",
    32007: "<|end|>",
    32010: "<|user|>",
}


def qwen(eos_token_id: int) -> Tokenizer:
    tokens, types = vocabulary(BYTES, 151936, QWEN)
    metadata: dict[str, MetadataValue] = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "qwen2",
        "tokenizer.ggml.merges": [],
        "tokenizer.ggml.bos_token_id": 151643,
    }
    return build(metadata, tokens, types, eos_token_id)


def phi_3(eos_token_id: int) -> Tokenizer:
    first = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokens, types = vocabulary(first, 32064, PHI_3)
    types[:3] = [
        TokenType.UNKNOWN,
        TokenType.CONTROL,
        TokenType.NORMAL,
    ]  # real files make </s> no control token
    types[3:259] = TokenType.BYTE
    metadata: dict[str, MetadataValue] = {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.scores": np.zeros(len(tokens), np.float32),
        "tokenizer.ggml.bos_token_id": 1,
    }
    return build(metadata, tokens, types, eos_token_id)


def vocabulary(first: list[str], size: int, control: dict[int, str]) -> tuple[list[str], np.ndarray]:
    tokens = first + [f"[unused {token_id}]" for token_id in range(len(first), size)]
    types = np.full(size, TokenType.UNUSED, np.int32)
    types[: len(first)] = TokenType.NORMAL
    for token_id, text in control.items():
        tokens[token_id], types[token_id] = text, TokenType.CONTROL
    return tokens, types


def build(
    metadata: dict[str, MetadataValue], tokens: list[str], types: np.ndarray, eos_token_id: int
) -> Tokenizer:
    lists: dict[str, MetadataValue] = {"tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": types}
    eos: dict[str, MetadataValue] = {"tokenizer.ggml.eos_token_id": eos_token_id}
    return build_tokenizer(metadata | lists | eos, path="model.gguf")


@pytest.mark.parametrize("eos_token_id", [151645, 151643], ids=["instruct", "base"])
def test_qwen_ends_at_its_end_of_turn_and_its_end_of_text_whichever_the_file_names(eos_token_id: int) -> None:
    assert {151643, 151645} == qwen(eos_token_id).eog_token_ids


@pytest.mark.parametrize("eos_token_id", [32000, 32007])
def test_phi_3_ends_at_its_end_of_turn_and_its_end_of_text_whichever_the_file_names(
    eos_token_id: int,
) -> None:
    assert {32000, 32007} == phi_3(eos_token_id).eog_token_ids
