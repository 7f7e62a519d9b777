"""Llama-style models: RMSNorm, RoPE, grouped-query attention, SwiGLU.

Architectures `llama`, `qwen2` and `qwen3`.
"""

from dataclasses import dataclass

from domain.architectures.parts import assemble, linear, rms_norm
from domain.architectures.refusals import refuse_experts, refuse_narrow_window
from domain.architectures.rope import read_linear_scaling, read_rope
from domain.architectures.settings import read_rms_norm_eps, read_settings
from domain.architectures.tensor_roles import TensorRoles
from ports.model_description import Attention, Layer, Linear, ModelDescription, RmsNorm, RopePairing, SwiGlu
from ports.model_file import ModelFile


def describe_llama(file: ModelFile) -> ModelDescription:
    """Describe a file of architecture `llama`."""
    return _Reader(file, _Variant("llama", RopePairing.ADJACENT)).description()


def describe_qwen2(file: ModelFile) -> ModelDescription:
    """Describe a file of architecture `qwen2`: as `llama` but for the pairing and biases on Q, K and V."""
    return _Reader(file, _Variant("qwen2", RopePairing.HALF_SPLIT, has_qkv_bias=True)).description()


def describe_qwen3(file: ModelFile) -> ModelDescription:
    """Describe a file of architecture `qwen3`: as `llama` but for the pairing and norms of Q and K heads."""
    return _Reader(file, _Variant("qwen3", RopePairing.HALF_SPLIT, has_head_norms=True)).description()


@dataclass(frozen=True, slots=True)
class _Variant:
    """In what the architectures differ."""

    architecture: str
    pairing: RopePairing
    has_qkv_bias: bool = False
    has_head_norms: bool = False


class _Reader:
    """One reading of one file."""

    def __init__(self, file: ModelFile, variant: _Variant) -> None:
        architecture = variant.architecture
        refuse_experts(file, architecture)
        self._file = file
        self._variant = variant
        self._settings = read_settings(file, architecture)
        refuse_narrow_window(file, architecture, self._settings.context_length)
        self._eps = read_rms_norm_eps(file, architecture)
        self._roles = TensorRoles(file)
        self._rope = read_rope(
            file,
            self._roles,
            architecture,
            pairing=variant.pairing,
            head_dim=self._settings.head_dim,
            scaling=read_linear_scaling(file, architecture),
        )

    def description(self) -> ModelDescription:
        return assemble(
            self._file,
            self._roles,
            self._variant.architecture,
            self._settings,
            layers=[self._layer(f"blk.{i}") for i in range(self._settings.num_layers)],
            output_norm=self._norm("output_norm"),
        )

    def _layer(self, prefix: str) -> Layer:
        return Layer(
            attention_norm=self._norm(f"{prefix}.attn_norm"),
            attention=self._attention(prefix),
            feed_forward_norm=self._norm(f"{prefix}.ffn_norm"),
            feed_forward=self._feed_forward(prefix),
        )

    def _attention(self, prefix: str) -> Attention:
        settings = self._settings
        return Attention(
            num_heads=settings.num_heads,
            num_kv_heads=settings.num_kv_heads,
            head_dim=settings.head_dim,
            query=self._projection(f"{prefix}.attn_q", rows=settings.query_size),
            key=self._projection(f"{prefix}.attn_k", rows=settings.key_size),
            value=self._projection(f"{prefix}.attn_v", rows=settings.key_size),
            output=linear(
                self._roles,
                f"{prefix}.attn_output",
                rows=settings.hidden_size,
                columns=settings.query_size,
            ),
            rope=self._rope,
            query_norm=self._head_norm(f"{prefix}.attn_q_norm"),
            key_norm=self._head_norm(f"{prefix}.attn_k_norm"),
        )

    def _projection(self, name: str, *, rows: int) -> Linear:
        columns, has_bias = self._settings.hidden_size, self._variant.has_qkv_bias
        return linear(self._roles, name, rows=rows, columns=columns, has_bias=has_bias)

    def _feed_forward(self, prefix: str) -> SwiGlu:
        hidden_size, size = self._settings.hidden_size, self._settings.intermediate_size
        return SwiGlu(
            intermediate_size=size,
            gate=linear(self._roles, f"{prefix}.ffn_gate", rows=size, columns=hidden_size),
            up=linear(self._roles, f"{prefix}.ffn_up", rows=size, columns=hidden_size),
            down=linear(self._roles, f"{prefix}.ffn_down", rows=hidden_size, columns=size),
        )

    def _norm(self, name: str) -> RmsNorm:
        return rms_norm(self._roles, name, length=self._settings.hidden_size, eps=self._eps)

    def _head_norm(self, name: str) -> RmsNorm | None:
        if not self._variant.has_head_norms:
            return None
        return rms_norm(self._roles, name, length=self._settings.head_dim, eps=self._eps)
