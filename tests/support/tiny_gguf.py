"""A tiny random model as a real file, for tests that start a real process."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adapters_outbound.tokenizers.byte_alphabet import CHARACTER_OF_BYTE
from ports.tensor_types import TensorType
from tools.gguf_export.metadata import WritableValue
from tools.gguf_export.quantize import quantize
from tools.gguf_export.writer import TensorToWrite, quantize_tensor, write_gguf

HEADS, KV_HEADS, CONTEXT = 4, 2, 512

# Every byte, "ab", then the control tokens. EOS is never likely: random answers run to their limit.
TOKENS = [*CHARACTER_OF_BYTE.values(), "ab", "<|bos|>", "<|eos|>"]
BOS, EOS = len(TOKENS) - 2, len(TOKENS) - 1


@dataclass(frozen=True)
class Size:
    """How large the model is."""

    hidden: int = 64
    intermediate: int = 128
    num_layers: int = 2


def write_tiny_gguf(path: Path, size: Size = Size()) -> Path:
    """Write a random model, of 0.1 million parameters unless told otherwise, and return its path."""
    write_gguf(path, metadata=_metadata(size), tensors=_tensors(size))
    return path


def _metadata(size: Size, architecture: str = "llama") -> dict[str, WritableValue]:
    return {
        "general.architecture": architecture,
        "general.name": "Tiny Random",
        "general.file_type": 7,
        f"{architecture}.context_length": CONTEXT,
        f"{architecture}.embedding_length": size.hidden,
        f"{architecture}.block_count": size.num_layers,
        f"{architecture}.feed_forward_length": size.intermediate,
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


def _tensors(size: Size) -> list[TensorToWrite]:
    rng = np.random.default_rng(1)
    stored: dict[tuple[int, int], NDArray[np.uint8]] = {}

    def matrix(name: str, rows: int, columns: int) -> TensorToWrite:
        # Random weights need not differ from layer to layer, only from element to element.
        if (rows, columns) not in stored:
            values = rng.normal(0, 0.3, (rows, columns)).astype(np.float32)
            stored[rows, columns] = quantize(values, TensorType.Q8_0)
        return TensorToWrite(f"{name}.weight", (rows, columns), TensorType.Q8_0, stored[rows, columns])

    def norm(name: str) -> TensorToWrite:
        return quantize_tensor(f"{name}.weight", np.ones(size.hidden, np.float32), TensorType.F32)

    kv_width = size.hidden // HEADS * KV_HEADS
    tensors = [matrix("token_embd", len(TOKENS), size.hidden), norm("output_norm")]
    for layer in range(size.num_layers):
        block = f"blk.{layer}"
        tensors += [
            norm(f"{block}.attn_norm"),
            matrix(f"{block}.attn_q", size.hidden, size.hidden),
            matrix(f"{block}.attn_k", kv_width, size.hidden),
            matrix(f"{block}.attn_v", kv_width, size.hidden),
            matrix(f"{block}.attn_output", size.hidden, size.hidden),
            norm(f"{block}.ffn_norm"),
            matrix(f"{block}.ffn_gate", size.intermediate, size.hidden),
            matrix(f"{block}.ffn_up", size.intermediate, size.hidden),
            matrix(f"{block}.ffn_down", size.hidden, size.intermediate),
        ]
    return tensors
