"""Llama-style models: RMSNorm, RoPE, grouped-query attention, SwiGLU. Architectures `llama` and `qwen2`."""

from domain.architectures.general import read_name, read_quant_kind
from domain.architectures.llama_settings import read_llama_settings
from domain.architectures.tensor_roles import TensorRoles
from domain.architectures.vocabulary import check_vocabulary
from ports.model_description import (
    Attention,
    Layer,
    Linear,
    ModelDescription,
    RmsNorm,
    Rope,
    RopePairing,
    SwiGlu,
)
from ports.model_file import ModelFile

_EMBEDDING = "token_embd.weight"
_FREQUENCY_FACTORS = "rope_freqs.weight"


def describe_llama(file: ModelFile) -> ModelDescription:
    """Describe a file of architecture `llama`."""
    return _Reader(file, "llama", RopePairing.ADJACENT, has_qkv_bias=False).description()


def describe_qwen2(file: ModelFile) -> ModelDescription:
    """Describe a file of architecture `qwen2`: as `llama` but for the pairing and biases on Q, K and V."""
    return _Reader(file, "qwen2", RopePairing.HALF_SPLIT, has_qkv_bias=True).description()


class _Reader:
    """One reading of one file."""

    def __init__(
        self, file: ModelFile, architecture: str, pairing: RopePairing, *, has_qkv_bias: bool
    ) -> None:
        self._file = file
        self._architecture = architecture
        self._pairing = pairing
        self._has_qkv_bias = has_qkv_bias
        self._settings = read_llama_settings(file, architecture)
        self._roles = TensorRoles(file)

    def description(self) -> ModelDescription:
        vocab_size = self._roles.num_rows(_EMBEDDING)
        check_vocabulary(self._file, self._architecture, vocab_size)
        hidden_size = self._settings.hidden_size
        embedding = self._roles.matrix(_EMBEDDING, rows=vocab_size, columns=hidden_size)
        rope = self._rope()
        layers = tuple(self._layer(f"blk.{i}", rope) for i in range(self._settings.num_layers))
        output_norm = self._norm("output_norm")
        output = embedding  # tied, unless the file brings a head of its own
        if self._roles.has("output.weight"):
            output = self._roles.matrix("output.weight", rows=vocab_size, columns=hidden_size)
        return ModelDescription(
            architecture=self._architecture,
            name=read_name(self._file),
            quant_kind=read_quant_kind(self._file),
            vocab_size=vocab_size,
            hidden_size=hidden_size,
            context_length=self._settings.context_length,
            embedding=embedding,
            layers=layers,
            output_norm=output_norm,
            output=Linear(output),
            tensors=self._roles.all_taken(),
        )

    def _layer(self, prefix: str, rope: Rope) -> Layer:
        return Layer(
            attention_norm=self._norm(f"{prefix}.attn_norm"),
            attention=self._attention(prefix, rope),
            feed_forward_norm=self._norm(f"{prefix}.ffn_norm"),
            feed_forward=self._feed_forward(prefix),
        )

    def _attention(self, prefix: str, rope: Rope) -> Attention:
        settings = self._settings
        query_size = settings.num_heads * settings.head_dim
        key_size = settings.num_kv_heads * settings.head_dim
        return Attention(
            num_heads=settings.num_heads,
            num_kv_heads=settings.num_kv_heads,
            head_dim=settings.head_dim,
            query=self._projection(f"{prefix}.attn_q", rows=query_size),
            key=self._projection(f"{prefix}.attn_k", rows=key_size),
            value=self._projection(f"{prefix}.attn_v", rows=key_size),
            output=self._linear(f"{prefix}.attn_output", rows=settings.hidden_size, columns=query_size),
            rope=rope,
        )

    def _projection(self, name: str, *, rows: int) -> Linear:
        return self._linear(name, rows=rows, columns=self._settings.hidden_size, has_bias=self._has_qkv_bias)

    def _feed_forward(self, prefix: str) -> SwiGlu:
        hidden_size, intermediate_size = self._settings.hidden_size, self._settings.intermediate_size
        return SwiGlu(
            intermediate_size=intermediate_size,
            gate=self._linear(f"{prefix}.ffn_gate", rows=intermediate_size, columns=hidden_size),
            up=self._linear(f"{prefix}.ffn_up", rows=intermediate_size, columns=hidden_size),
            down=self._linear(f"{prefix}.ffn_down", rows=hidden_size, columns=intermediate_size),
        )

    def _linear(self, name: str, *, rows: int, columns: int, has_bias: bool = False) -> Linear:
        weight = self._roles.matrix(f"{name}.weight", rows=rows, columns=columns)
        return Linear(weight, self._roles.vector(f"{name}.bias", length=rows) if has_bias else None)

    def _norm(self, name: str) -> RmsNorm:
        weight = self._roles.vector(f"{name}.weight", length=self._settings.hidden_size)
        return RmsNorm(weight, self._settings.rms_norm_eps)

    def _rope(self) -> Rope:
        factors = None
        if self._roles.has(_FREQUENCY_FACTORS):
            factors = self._roles.vector(_FREQUENCY_FACTORS, length=self._settings.rotary_dim // 2)
        return Rope(self._pairing, self._settings.rotary_dim, self._settings.rope_theta, factors)
