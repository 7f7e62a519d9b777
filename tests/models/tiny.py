"""Small random models of every architecture, as files in memory."""

from dataclasses import dataclass

import numpy as np

from ports.model_file import TensorInfo
from ports.tensor_types import TensorType
from tests.models.memory_file import MemoryModelFile
from tests.models.random_blocks import random_tensor, stored


@dataclass(frozen=True)
class TinyShape:
    """Hyper-parameters of a random model; the defaults are the smallest with groups of heads."""

    architecture: str = "llama"
    matrix_type: TensorType = TensorType.F32
    embedding_type: TensorType = TensorType.F32
    is_tied: bool = False
    vocab_size: int = 96
    hidden_size: int = 64
    num_layers: int = 2
    num_heads: int = 4
    num_kv_heads: int = 2
    head_dim: int = 16
    intermediate_size: int = 128
    context_length: int = 128
    rotary_dim: int | None = None
    has_frequency_factors: bool = False
    window: int | None = None
    seed: int = 1


def tiny_model(shape: TinyShape) -> MemoryModelFile:
    """Make the file of a random model; equal shapes make equal files."""
    return _Writer(shape).file


class _Writer:
    def __init__(self, shape: TinyShape) -> None:
        self.file = MemoryModelFile()
        self._shape = shape
        self._rng = np.random.default_rng(shape.seed)
        self._data = bytearray()
        self._write_metadata()
        self._write_tensors()
        self.file.data = bytes(self._data)

    def _write_metadata(self) -> None:
        shape, prefix = self._shape, self._shape.architecture
        self.file.metadata |= {
            "general.architecture": prefix,
            "general.name": f"tiny {prefix}",
            "general.file_type": 0,
            f"{prefix}.context_length": shape.context_length,
            f"{prefix}.embedding_length": shape.hidden_size,
            f"{prefix}.block_count": shape.num_layers,
            f"{prefix}.feed_forward_length": shape.intermediate_size,
            f"{prefix}.attention.head_count": shape.num_heads,
            f"{prefix}.attention.head_count_kv": shape.num_kv_heads,
            f"{prefix}.attention.key_length": shape.head_dim,
            f"{prefix}.attention.value_length": shape.head_dim,
            f"{prefix}.attention.layer_norm_rms_epsilon": 1e-5,
            f"{prefix}.rope.freq_base": 10_000.0,
            f"{prefix}.rope.dimension_count": shape.rotary_dim or shape.head_dim,
            "tokenizer.ggml.tokens": [f"<{i}>" for i in range(shape.vocab_size)],
            "tokenizer.ggml.bos_token_id": 1,
            "tokenizer.ggml.eos_token_id": 2,
        }
        if shape.window is not None:
            self.file.metadata[f"{prefix}.attention.sliding_window"] = shape.window

    def _write_tensors(self) -> None:
        shape = self._shape
        self._matrix("token_embd.weight", shape.vocab_size, shape.hidden_size, shape.embedding_type)
        for i in range(shape.num_layers):
            self._write_layer(f"blk.{i}")
        self._vector("output_norm.weight", shape.hidden_size, around=1.0)
        if not shape.is_tied:
            self._matrix("output.weight", shape.vocab_size, shape.hidden_size, shape.matrix_type)
        if shape.has_frequency_factors:
            self._vector("rope_freqs.weight", (shape.rotary_dim or shape.head_dim) // 2, around=2.0)

    def _write_layer(self, prefix: str) -> None:
        shape = self._shape
        self._write_attention(prefix)
        self._write_feed_forward(prefix)
        self._vector(f"{prefix}.attn_norm.weight", shape.hidden_size, around=1.0)
        self._vector(f"{prefix}.ffn_norm.weight", shape.hidden_size, around=1.0)

    def _write_attention(self, prefix: str) -> None:
        shape = self._shape
        query_size, key_size = shape.num_heads * shape.head_dim, shape.num_kv_heads * shape.head_dim
        projections = {"attn_q": query_size, "attn_k": key_size, "attn_v": key_size}
        if shape.architecture == "phi3":
            projections = {"attn_qkv": query_size + 2 * key_size}
        for name, rows in projections.items():
            self._matrix(f"{prefix}.{name}.weight", rows, shape.hidden_size, shape.matrix_type)
            if shape.architecture == "qwen2":
                self._vector(f"{prefix}.{name}.bias", rows, around=0.0)
        if shape.architecture == "qwen3":
            self._vector(f"{prefix}.attn_q_norm.weight", shape.head_dim, around=1.0)
            self._vector(f"{prefix}.attn_k_norm.weight", shape.head_dim, around=1.0)
        self._matrix(f"{prefix}.attn_output.weight", shape.hidden_size, query_size, shape.matrix_type)

    def _write_feed_forward(self, prefix: str) -> None:
        shape, size = self._shape, self._shape.intermediate_size
        inner = {"ffn_up": 2 * size} if shape.architecture == "phi3" else {"ffn_gate": size, "ffn_up": size}
        for name, rows in inner.items():
            self._matrix(f"{prefix}.{name}.weight", rows, shape.hidden_size, shape.matrix_type)
        self._matrix(f"{prefix}.ffn_down.weight", shape.hidden_size, size, shape.matrix_type)

    def _matrix(self, name: str, rows: int, columns: int, tensor_type: TensorType) -> None:
        self._add(name, (rows, columns), tensor_type, random_tensor((rows, columns), tensor_type, self._rng))

    def _vector(self, name: str, length: int, *, around: float) -> None:
        values = around + 0.3 * self._rng.standard_normal(length)
        self._add(name, (length,), TensorType.F32, stored(values, TensorType.F32))

    def _add(self, name: str, shape: tuple[int, ...], tensor_type: TensorType, data: bytes) -> None:
        offset_bytes = len(self._data)
        self.file.tensors[name] = TensorInfo(name, shape, tensor_type, offset_bytes, len(data))
        self._data += data
        self._data += bytes(-len(self._data) % 32)
