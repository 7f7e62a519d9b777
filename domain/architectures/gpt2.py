"""Classic GPT: LayerNorm, learned positions, attention with biases throughout, GELU.

Architecture `gpt2`, also by the name of `gpt`; tensors also by the names of the framework.
"""

from domain.architectures.gpt2_names import framework_aliases
from domain.architectures.parts import assemble, fused, layer_norm, linear
from domain.architectures.settings import read_settings
from domain.architectures.tensor_roles import TensorRoles
from domain.metadata import optional_float, require_str
from ports.model_description import Attention, Gelu, Layer, LayerNorm, Linear, ModelDescription
from ports.model_file import ModelFile

_DEFAULT_EPS = 1e-5


def describe_gpt2(file: ModelFile) -> ModelDescription:
    """Describe a file of architecture `gpt2`; its keys have the architecture's name as it writes it."""
    return _Reader(file, require_str(file, "general.architecture")).description()


class _Reader:
    """One reading of one file."""

    def __init__(self, file: ModelFile, architecture: str) -> None:
        self._file = file
        self._architecture = architecture
        self._settings = read_settings(file, architecture)
        eps_key = f"{architecture}.attention.layer_norm_epsilon"
        self._eps = optional_float(file, eps_key, default=_DEFAULT_EPS, above=0.0, maximum=0.1)
        self._roles = TensorRoles(file, aliases=framework_aliases(file.tensors))

    def description(self) -> ModelDescription:
        settings = self._settings
        position_embedding = self._roles.matrix(
            "position_embd.weight", rows=settings.context_length, columns=settings.hidden_size
        )
        return assemble(
            self._file,
            self._roles,
            self._architecture,
            settings,
            layers=[self._layer(f"blk.{i}") for i in range(settings.num_layers)],
            output_norm=self._norm("output_norm"),
            position_embedding=position_embedding,
        )

    def _layer(self, prefix: str) -> Layer:
        return Layer(
            attention_norm=self._norm(f"{prefix}.attn_norm"),
            attention=self._attention(prefix),
            feed_forward_norm=self._norm(f"{prefix}.ffn_norm"),
            feed_forward=self._feed_forward(prefix),
        )

    def _attention(self, prefix: str) -> Attention:
        settings, name = self._settings, f"{prefix}.attn_qkv"
        hidden_size, query_size, key_size = settings.hidden_size, settings.query_size, settings.key_size
        heights = (query_size, key_size, key_size)
        query, key, value = fused(self._roles, name, heights=heights, columns=hidden_size, has_bias=True)
        return Attention(
            num_heads=settings.num_heads,
            num_kv_heads=settings.num_kv_heads,
            head_dim=settings.head_dim,
            query=query,
            key=key,
            value=value,
            output=self._linear(f"{prefix}.attn_output", rows=hidden_size, columns=query_size),
            rope=None,
        )

    def _feed_forward(self, prefix: str) -> Gelu:
        hidden_size, size = self._settings.hidden_size, self._settings.intermediate_size
        return Gelu(
            intermediate_size=size,
            up=self._linear(f"{prefix}.ffn_up", rows=size, columns=hidden_size),
            down=self._linear(f"{prefix}.ffn_down", rows=hidden_size, columns=size),
        )

    def _linear(self, name: str, *, rows: int, columns: int) -> Linear:
        return linear(self._roles, name, rows=rows, columns=columns, has_bias=True)

    def _norm(self, name: str) -> LayerNorm:
        return layer_norm(self._roles, name, length=self._settings.hidden_size, eps=self._eps)
