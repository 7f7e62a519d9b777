"""Architecture `phi3`: as `llama`, with Q, K and V fused, gate and up fused, and a sliding window."""

from domain.architectures.parts import assemble, fused, linear, rms_norm
from domain.architectures.refusals import refuse_experts
from domain.architectures.rope import read_linear_scaling, read_rope
from domain.architectures.settings import DecoderSettings, read_rms_norm_eps, read_settings
from domain.architectures.tensor_roles import TensorRoles
from domain.metadata import optional_int, refusal
from ports.model_description import Attention, Layer, ModelDescription, RmsNorm, RopePairing, SwiGlu
from ports.model_file import ModelFile

_ARCHITECTURE = "phi3"
_WINDOW_KEY = "phi3.attention.sliding_window"
_LONG_ROPE_TENSORS = ("rope_factors_long.weight", "rope_factors_short.weight")
# Files older than the key are told by their size: Phi-3 mini and medium, both with 4k of context.
# Source: llama.cpp, pull request 8931.
_OLD_LAYER_COUNTS, _OLD_CONTEXT, _OLD_WINDOW = (32, 40), 4096, 2047


def describe_phi3(file: ModelFile) -> ModelDescription:
    """Describe a file of architecture `phi3`."""
    return _Reader(file).description()


class _Reader:
    """One reading of one file."""

    def __init__(self, file: ModelFile) -> None:
        _refuse_long_rope(file)
        refuse_experts(file, _ARCHITECTURE)
        self._file = file
        self._settings = read_settings(file, _ARCHITECTURE)
        self._window = _window(file, self._settings)
        self._eps = read_rms_norm_eps(file, _ARCHITECTURE)
        self._roles = TensorRoles(file)
        self._rope = read_rope(
            file,
            self._roles,
            _ARCHITECTURE,
            pairing=RopePairing.HALF_SPLIT,
            head_dim=self._settings.head_dim,
            scaling=read_linear_scaling(file, _ARCHITECTURE),
        )

    def description(self) -> ModelDescription:
        return assemble(
            self._file,
            self._roles,
            _ARCHITECTURE,
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
        settings, name = self._settings, f"{prefix}.attn_qkv"
        hidden_size, query_size, key_size = settings.hidden_size, settings.query_size, settings.key_size
        heights = (query_size, key_size, key_size)
        query, key, value = fused(self._roles, name, heights=heights, columns=hidden_size)
        return Attention(
            num_heads=settings.num_heads,
            num_kv_heads=settings.num_kv_heads,
            head_dim=settings.head_dim,
            query=query,
            key=key,
            value=value,
            output=linear(self._roles, f"{prefix}.attn_output", rows=hidden_size, columns=query_size),
            rope=self._rope,
            window=self._window,
        )

    def _feed_forward(self, prefix: str) -> SwiGlu:
        hidden_size, size = self._settings.hidden_size, self._settings.intermediate_size
        gate, up = fused(self._roles, f"{prefix}.ffn_up", heights=(size, size), columns=hidden_size)
        down = linear(self._roles, f"{prefix}.ffn_down", rows=hidden_size, columns=size)
        return SwiGlu(intermediate_size=size, gate=gate, up=up, down=down)

    def _norm(self, name: str) -> RmsNorm:
        return rms_norm(self._roles, name, length=self._settings.hidden_size, eps=self._eps)


def _window(file: ModelFile, settings: DecoderSettings) -> int | None:
    """None where the whole context is seen; a window of 0 says so too."""
    is_old = settings.num_layers in _OLD_LAYER_COUNTS and settings.context_length == _OLD_CONTEXT
    default = _OLD_WINDOW if is_old else 0
    window = optional_int(file, _WINDOW_KEY, default=default, minimum=0, maximum=2**32)
    return window if 0 < window < settings.context_length else None


def _refuse_long_rope(file: ModelFile) -> None:
    for name in _LONG_ROPE_TENSORS:
        if name in file.tensors:
            expected = "none: longrope (su) scaling is not supported yet"
            raise refusal(file, f"tensor {name}", expected=expected, actual="one")
