"""The tensor table of each architecture, as the published converters make it."""

from collections.abc import Iterator

from ports.tensor_types import TensorType
from tools.gguf_export.layout import TensorEntry
from tools.true_size.model_shape import ModelShape
from tools.true_size.quant_mix import matrix_type


def tensors_of(shape: ModelShape) -> list[TensorEntry]:
    """Every tensor of the file, in file order."""
    return list(_Table(shape).entries())


class _Table:
    def __init__(self, shape: ModelShape) -> None:
        self._shape = shape
        self._query_size = shape.num_heads * shape.head_dim
        self._key_size = shape.num_kv_heads * shape.head_dim

    def entries(self) -> Iterator[TensorEntry]:
        shape = self._shape
        yield self._matrix("token_embd.weight", shape.vocab_size, shape.hidden_size)
        if shape.architecture == "llama":
            yield _floats("rope_freqs.weight", shape.head_dim // 2)
        for layer in range(shape.num_layers):
            yield from self._layer(f"blk.{layer}")
        yield _floats("output_norm.weight", shape.hidden_size)
        if not shape.is_tied:
            yield self._matrix("output.weight", shape.vocab_size, shape.hidden_size)

    def _layer(self, prefix: str) -> Iterator[TensorEntry]:
        hidden_size, has_experts = self._shape.hidden_size, self._shape.num_experts > 0
        yield _floats(f"{prefix}.attn_norm.weight", hidden_size)
        yield from self._attention(prefix)
        second_norm = "post_attention_norm" if has_experts else "ffn_norm"
        yield _floats(f"{prefix}.{second_norm}.weight", hidden_size)
        yield from self._experts(prefix) if has_experts else self._feed_forward(prefix)

    def _attention(self, prefix: str) -> Iterator[TensorEntry]:
        shape = self._shape
        inputs = {"attn_q": self._query_size, "attn_k": self._key_size, "attn_v": self._key_size}
        if shape.architecture == "phi3":
            inputs = {"attn_qkv": sum(inputs.values())}
        for name, rows in inputs.items():
            yield self._matrix(f"{prefix}.{name}.weight", rows, shape.hidden_size)
            if shape.architecture in ("qwen2", "gpt-oss"):
                yield _floats(f"{prefix}.{name}.bias", rows)
        yield self._matrix(f"{prefix}.attn_output.weight", shape.hidden_size, self._query_size)
        if shape.architecture == "gpt-oss":
            yield _floats(f"{prefix}.attn_output.bias", shape.hidden_size)
            yield _floats(f"{prefix}.attn_sinks.weight", shape.num_heads)

    def _feed_forward(self, prefix: str) -> Iterator[TensorEntry]:
        hidden_size, size = self._shape.hidden_size, self._shape.intermediate_size
        inputs = {"ffn_gate": size, "ffn_up": size}
        if self._shape.architecture == "phi3":
            inputs = {"ffn_up": 2 * size}
        for name, rows in inputs.items():
            yield self._matrix(f"{prefix}.{name}.weight", rows, hidden_size)
        yield self._matrix(f"{prefix}.ffn_down.weight", hidden_size, size)

    def _experts(self, prefix: str) -> Iterator[TensorEntry]:
        hidden_size, size = self._shape.hidden_size, self._shape.intermediate_size
        count = self._shape.num_experts
        yield _floats(f"{prefix}.ffn_gate_inp.weight", count, hidden_size)
        yield _floats(f"{prefix}.ffn_gate_inp.bias", count)
        matrices = {"gate": (size, hidden_size), "up": (size, hidden_size), "down": (hidden_size, size)}
        for name, (rows, columns) in matrices.items():
            yield self._matrix(f"{prefix}.ffn_{name}_exps.weight", count, rows, columns)
            yield _floats(f"{prefix}.ffn_{name}_exps.bias", count, rows)

    def _matrix(self, name: str, *shape: int) -> TensorEntry:
        return TensorEntry(name, shape, matrix_type(self._shape, name, shape[-1]))


def _floats(name: str, *shape: int) -> TensorEntry:
    return TensorEntry(name, shape, TensorType.F32)
