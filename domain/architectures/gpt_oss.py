"""GPT-OSS: RMSNorm, RoPE with YaRN, attention with sinks and, on even layers, a window; a mixture of experts.

Architecture `gpt-oss`, also by the name of `gptoss`.
Source: github.com/openai/gpt-oss, `gpt_oss/torch/model.py`.
"""

from domain.architectures.parts import assemble, linear, rms_norm
from domain.architectures.rope import read_rope, read_yarn
from domain.architectures.settings import read_rms_norm_eps, read_settings
from domain.architectures.tensor_roles import TensorRoles
from domain.metadata import refusal, require_int, require_str
from ports.model_description import (
    Attention,
    ClampedSwiGlu,
    ExpertLinear,
    Experts,
    Layer,
    Linear,
    ModelDescription,
    RmsNorm,
    RopePairing,
)
from ports.model_file import ModelFile

_ACTIVATION = ClampedSwiGlu(alpha=1.702, limit=7.0)
_MAX_EXPERTS = 2**12
_MAX_WIDTH = 2**22
_NEVER_DEFAULTED = (
    "attention.head_count_kv",
    "attention.key_length",
    "attention.value_length",
    "rope.freq_base",
)  # a default made for other models would be wrong here, and quietly so


def describe_gpt_oss(file: ModelFile) -> ModelDescription:
    """Describe a file of architecture `gpt-oss`; its keys have the architecture's name as it writes it."""
    return _Reader(file, require_str(file, "general.architecture")).description()


class _Reader:
    """One reading of one file."""

    def __init__(self, file: ModelFile, architecture: str) -> None:
        for key in _NEVER_DEFAULTED:
            if f"{architecture}.{key}" not in file.metadata:
                raise refusal(file, f"{architecture}.{key}", expected="a number", actual="no such key")
        self._file = file
        self._architecture = architecture
        self._settings = read_settings(file, architecture)
        self._eps = read_rms_norm_eps(file, architecture)
        self._window = self._count("attention.sliding_window", maximum=2**32)
        self._num_experts = self._count("expert_count", maximum=_MAX_EXPERTS)
        self._num_active = self._count("expert_used_count", maximum=self._num_experts)
        self._expert_size = self._count("expert_feed_forward_length", maximum=_MAX_WIDTH)
        self._roles = TensorRoles(file)
        self._rope = read_rope(
            file,
            self._roles,
            architecture,
            pairing=RopePairing.HALF_SPLIT,
            head_dim=self._settings.head_dim,
            scaling=read_yarn(file, architecture),
        )

    def description(self) -> ModelDescription:
        return assemble(
            self._file,
            self._roles,
            self._architecture,
            self._settings,
            layers=[self._layer(i) for i in range(self._settings.num_layers)],
            output_norm=self._norm("output_norm"),
        )

    def _layer(self, layer_id: int) -> Layer:
        prefix = f"blk.{layer_id}"
        return Layer(
            attention_norm=self._norm(f"{prefix}.attn_norm"),
            attention=self._attention(prefix, has_window=layer_id % 2 == 0),
            feed_forward_norm=self._norm(f"{prefix}.post_attention_norm"),
            feed_forward=self._experts(prefix),
        )

    def _attention(self, prefix: str, *, has_window: bool) -> Attention:
        settings = self._settings
        hidden_size, query_size, key_size = settings.hidden_size, settings.query_size, settings.key_size
        is_narrow = has_window and self._window < settings.context_length
        return Attention(
            num_heads=settings.num_heads,
            num_kv_heads=settings.num_kv_heads,
            head_dim=settings.head_dim,
            query=self._linear(f"{prefix}.attn_q", rows=query_size, columns=hidden_size),
            key=self._linear(f"{prefix}.attn_k", rows=key_size, columns=hidden_size),
            value=self._linear(f"{prefix}.attn_v", rows=key_size, columns=hidden_size),
            output=self._linear(f"{prefix}.attn_output", rows=hidden_size, columns=query_size),
            rope=self._rope,
            window=self._window if is_narrow else None,
            sinks=self._roles.vector(f"{prefix}.attn_sinks.weight", length=settings.num_heads),
        )

    def _experts(self, prefix: str) -> Experts:
        hidden_size, size = self._settings.hidden_size, self._expert_size
        return Experts(
            num_experts=self._num_experts,
            num_active=self._num_active,
            intermediate_size=size,
            router=self._linear(f"{prefix}.ffn_gate_inp", rows=self._num_experts, columns=hidden_size),
            gate=self._expert_linear(f"{prefix}.ffn_gate_exps", rows=size, columns=hidden_size),
            up=self._expert_linear(f"{prefix}.ffn_up_exps", rows=size, columns=hidden_size),
            down=self._expert_linear(f"{prefix}.ffn_down_exps", rows=hidden_size, columns=size),
            activation=_ACTIVATION,
        )

    def _linear(self, name: str, *, rows: int, columns: int) -> Linear:
        return linear(self._roles, name, rows=rows, columns=columns, has_bias=True)

    def _expert_linear(self, name: str, *, rows: int, columns: int) -> ExpertLinear:
        num_experts = self._num_experts
        weight = self._roles.expert_matrices(
            f"{name}.weight", num_experts=num_experts, rows=rows, columns=columns
        )
        return ExpertLinear(
            weight, self._roles.expert_vectors(f"{name}.bias", num_experts=num_experts, length=rows)
        )

    def _norm(self, name: str) -> RmsNorm:
        return rms_norm(self._roles, name, length=self._settings.hidden_size, eps=self._eps)

    def _count(self, key: str, *, maximum: int) -> int:
        return require_int(self._file, f"{self._architecture}.{key}", minimum=1, maximum=maximum)
