"""Small random models of every architecture, as files in memory."""

from dataclasses import dataclass

import numpy as np

from ports.model_file import TensorInfo
from ports.tensor_types import TensorType
from tests.models.memory_file import MemoryModelFile
from tests.models.random_blocks import random_tensor, stored

_FUSED_QKV = ("phi3", "gpt2")
_BIASED_QKV = ("qwen2", "gpt2", "gpt-oss")
_BIASED_OUTPUT = ("gpt2", "gpt-oss")
_NUM_EXPERTS = 4
_NO_GATE = ("phi3", "gpt2")


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

    @property
    def family(self) -> str:
        """The architecture, by the first of its names."""
        return {"gpt": "gpt2", "gptoss": "gpt-oss"}.get(self.architecture, self.architecture)


def tiny_model(shape: TinyShape) -> MemoryModelFile:
    """Make the file of a random model; equal shapes make equal files."""
    return _Writer(shape).file


def tiny_model_of(tensor_type: TensorType) -> MemoryModelFile:
    """One with matrices of any type, in rows that K-quants can have."""
    shape = TinyShape(
        matrix_type=tensor_type,
        embedding_type=tensor_type,
        hidden_size=256,
        intermediate_size=512,
        num_heads=4,
        head_dim=64,
    )
    return tiny_model(shape)


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
        if shape.family == "gpt-oss":
            self._write_gpt_oss_metadata(prefix)
        if shape.window is not None:
            self.file.metadata[f"{prefix}.attention.sliding_window"] = shape.window
        if shape.family == "gpt2":
            self.file.metadata[f"{prefix}.attention.layer_norm_epsilon"] = 1e-5

    def _write_gpt_oss_metadata(self, prefix: str) -> None:
        self.file.metadata |= {
            f"{prefix}.attention.sliding_window": 5,
            f"{prefix}.expert_count": _NUM_EXPERTS,
            f"{prefix}.expert_used_count": 2,
            f"{prefix}.expert_feed_forward_length": self._shape.intermediate_size,
            f"{prefix}.rope.scaling.type": "yarn",
            f"{prefix}.rope.scaling.factor": 8.0,
            f"{prefix}.rope.scaling.original_context_length": 16,
        }

    def _write_tensors(self) -> None:
        shape = self._shape
        self._matrix("token_embd.weight", shape.vocab_size, shape.hidden_size, shape.embedding_type)
        if shape.family == "gpt2":
            rows = shape.context_length
            self._matrix("position_embd.weight", rows, shape.hidden_size, shape.embedding_type)
        for i in range(shape.num_layers):
            self._write_layer(f"blk.{i}")
        self._norm("output_norm")
        if not shape.is_tied:
            self._matrix("output.weight", shape.vocab_size, shape.hidden_size, shape.matrix_type)
        if shape.has_frequency_factors:
            self._vector("rope_freqs.weight", (shape.rotary_dim or shape.head_dim) // 2, around=2.0)

    def _write_layer(self, prefix: str) -> None:
        self._write_attention(prefix)
        if self._shape.family == "gpt-oss":
            self._write_experts(prefix)
        else:
            self._write_feed_forward(prefix)
        self._norm(f"{prefix}.attn_norm")
        is_gpt_oss = self._shape.family == "gpt-oss"
        self._norm(f"{prefix}.post_attention_norm" if is_gpt_oss else f"{prefix}.ffn_norm")

    def _write_attention(self, prefix: str) -> None:
        shape = self._shape
        query_size, key_size = shape.num_heads * shape.head_dim, shape.num_kv_heads * shape.head_dim
        projections = {"attn_q": query_size, "attn_k": key_size, "attn_v": key_size}
        if shape.family in _FUSED_QKV:
            projections = {"attn_qkv": query_size + 2 * key_size}
        for name, rows in projections.items():
            has_bias = shape.family in _BIASED_QKV
            self._linear(f"{prefix}.{name}", rows, shape.hidden_size, has_bias=has_bias)
        if shape.family == "qwen3":
            self._vector(f"{prefix}.attn_q_norm.weight", shape.head_dim, around=1.0)
            self._vector(f"{prefix}.attn_k_norm.weight", shape.head_dim, around=1.0)
        if shape.family == "gpt-oss":
            self._vector(f"{prefix}.attn_sinks.weight", shape.num_heads, around=0.0)
        has_bias = shape.family in _BIASED_OUTPUT
        self._linear(f"{prefix}.attn_output", shape.hidden_size, query_size, has_bias=has_bias)

    def _write_feed_forward(self, prefix: str) -> None:
        shape, size = self._shape, self._shape.intermediate_size
        has_bias = shape.family == "gpt2"
        inner = {"ffn_gate": size, "ffn_up": size}
        if shape.family in _NO_GATE:
            inner = {"ffn_up": 2 * size if shape.family == "phi3" else size}
        for name, rows in inner.items():
            self._linear(f"{prefix}.{name}", rows, shape.hidden_size, has_bias=has_bias)
        self._linear(f"{prefix}.ffn_down", shape.hidden_size, size, has_bias=has_bias)

    def _write_experts(self, prefix: str) -> None:
        hidden_size, size = self._shape.hidden_size, self._shape.intermediate_size
        self._linear(f"{prefix}.ffn_gate_inp", _NUM_EXPERTS, hidden_size, has_bias=True)
        sizes = {"gate": (size, hidden_size), "up": (size, hidden_size), "down": (hidden_size, size)}
        for name, (rows, columns) in sizes.items():
            shape = (_NUM_EXPERTS, rows, columns)
            data = random_tensor(shape, TensorType.MXFP4, self._rng)
            self._add(f"{prefix}.ffn_{name}_exps.weight", shape, TensorType.MXFP4, data)
            biases = stored(0.3 * self._rng.standard_normal(shape[:2]), TensorType.F32)
            self._add(f"{prefix}.ffn_{name}_exps.bias", shape[:2], TensorType.F32, biases)

    def _norm(self, name: str) -> None:
        self._vector(f"{name}.weight", self._shape.hidden_size, around=1.0)
        if self._shape.family == "gpt2":
            self._vector(f"{name}.bias", self._shape.hidden_size, around=0.0)

    def _linear(self, name: str, rows: int, columns: int, *, has_bias: bool) -> None:
        self._matrix(f"{name}.weight", rows, columns, self._shape.matrix_type)
        if has_bias:
            self._vector(f"{name}.bias", rows, around=0.0)

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
