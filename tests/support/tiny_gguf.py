"""A tiny random model as a real file, for tests that start a real process."""

from pathlib import Path

import numpy as np

from adapters_outbound.tokenizers.byte_alphabet import CHARACTER_OF_BYTE
from ports.tensor_types import TensorType
from tools.gguf_export.metadata import WritableValue
from tools.gguf_export.writer import TensorToWrite, quantize_tensor, write_gguf

HIDDEN, HEADS, KV_HEADS, FFN, LAYERS, CONTEXT = 64, 4, 2, 128, 2, 512

# Every byte, "ab", then the control tokens. EOS is never likely: random answers run to their limit.
TOKENS = [*CHARACTER_OF_BYTE.values(), "ab", "<|bos|>", "<|eos|>"]
BOS, EOS = len(TOKENS) - 2, len(TOKENS) - 1


def write_tiny_gguf(path: Path, *, architecture: str = "llama", seed: int = 1) -> Path:
    """Write a random model of 0.1 million parameters and return its path."""
    write_gguf(path, metadata=_metadata(architecture), tensors=_tensors(seed))
    return path


def _metadata(architecture: str) -> dict[str, WritableValue]:
    return {
        "general.architecture": architecture,
        "general.name": "Tiny Random",
        "general.file_type": 7,
        f"{architecture}.context_length": CONTEXT,
        f"{architecture}.embedding_length": HIDDEN,
        f"{architecture}.block_count": LAYERS,
        f"{architecture}.feed_forward_length": FFN,
        f"{architecture}.attention.head_count": HEADS,
        f"{architecture}.attention.head_count_kv": KV_HEADS,
        f"{architecture}.attention.layer_norm_rms_epsilon": 1e-5,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": TOKENS,
        "tokenizer.ggml.token_type": np.array([1] * 257 + [3, 3], np.int32),
        "tokenizer.ggml.merges": ["a b"],
        "tokenizer.ggml.bos_token_id": BOS,
        "tokenizer.ggml.eos_token_id": EOS,
        "tokenizer.ggml.add_bos_token": True,
    }


def _tensors(seed: int) -> list[TensorToWrite]:
    rng = np.random.default_rng(seed)
    kv_width = HIDDEN // HEADS * KV_HEADS

    def matrix(name: str, rows: int, columns: int) -> TensorToWrite:
        values = rng.normal(0, 0.3, (rows, columns)).astype(np.float32)
        return quantize_tensor(f"{name}.weight", values, TensorType.Q8_0)

    def norm(name: str) -> TensorToWrite:
        return quantize_tensor(f"{name}.weight", np.ones(HIDDEN, np.float32), TensorType.F32)

    tensors = [matrix("token_embd", len(TOKENS), HIDDEN), norm("output_norm")]
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        tensors += [
            norm(f"{block}.attn_norm"),
            matrix(f"{block}.attn_q", HIDDEN, HIDDEN),
            matrix(f"{block}.attn_k", kv_width, HIDDEN),
            matrix(f"{block}.attn_v", kv_width, HIDDEN),
            matrix(f"{block}.attn_output", HIDDEN, HIDDEN),
            norm(f"{block}.ffn_norm"),
            matrix(f"{block}.ffn_gate", FFN, HIDDEN),
            matrix(f"{block}.ffn_up", FFN, HIDDEN),
            matrix(f"{block}.ffn_down", HIDDEN, FFN),
        ]
    return tensors
