"""Hyper-parameters of Llama-style files: read, defaulted, and held to what a transformer can be."""

from dataclasses import dataclass

from domain.metadata import optional_float, optional_int, optional_str, refusal, require_float, require_int
from ports.model_file import ModelFile

# Far above every published model and far below what would exhaust a host that believes it.
_MAX_LAYERS = 1024
_MAX_WIDTH = 2**22
_MAX_HEADS = 2**14
_MAX_CONTEXT = 2**24


@dataclass(frozen=True, slots=True)
class LlamaSettings:
    """What the metadata of one Llama-style file says."""

    context_length: int
    num_layers: int
    hidden_size: int
    intermediate_size: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    rotary_dim: int
    rope_theta: float
    rms_norm_eps: float


def read_llama_settings(file: ModelFile, architecture: str) -> LlamaSettings:
    """Read the keys under the prefix `architecture`.

    Raises:
        ModelLoadFailed: a key is missing or holds what no such model can have, or asks for what is not built.
    """
    _refuse_rope_scaling(file, architecture)
    _refuse_experts(file, architecture)
    context_length = _count(file, f"{architecture}.context_length", _MAX_CONTEXT)
    _refuse_narrow_window(file, architecture, context_length)
    hidden_size = _count(file, f"{architecture}.embedding_length", _MAX_WIDTH)
    num_heads = _count(file, f"{architecture}.attention.head_count", _MAX_HEADS)
    head_dim = _head_dim(file, architecture, hidden_size, num_heads)
    eps_key, theta_key = f"{architecture}.attention.layer_norm_rms_epsilon", f"{architecture}.rope.freq_base"
    return LlamaSettings(
        context_length=context_length,
        num_layers=_count(file, f"{architecture}.block_count", _MAX_LAYERS),
        hidden_size=hidden_size,
        intermediate_size=_count(file, f"{architecture}.feed_forward_length", _MAX_WIDTH),
        num_heads=num_heads,
        num_kv_heads=_num_kv_heads(file, f"{architecture}.attention.head_count_kv", num_heads),
        head_dim=head_dim,
        rotary_dim=_rotary_dim(file, f"{architecture}.rope.dimension_count", head_dim),
        rope_theta=optional_float(file, theta_key, default=10_000.0, above=0.0, maximum=1e15),
        rms_norm_eps=require_float(file, eps_key, above=0.0, maximum=0.1),
    )


def _count(file: ModelFile, key: str, maximum: int) -> int:
    return require_int(file, key, minimum=1, maximum=maximum)


def _head_dim(file: ModelFile, architecture: str, hidden_size: int, num_heads: int) -> int:
    key = f"{architecture}.attention.key_length"
    if key in file.metadata:
        head_dim = _count(file, key, _MAX_WIDTH)
    elif hidden_size % num_heads:
        check, expected = f"{architecture}.attention.head_count", f"a divisor of {hidden_size}"
        raise refusal(file, check, expected=expected, actual=str(num_heads))
    else:
        head_dim = hidden_size // num_heads
    value_key = f"{architecture}.attention.value_length"
    value_dim = optional_int(file, value_key, default=head_dim, minimum=1, maximum=_MAX_WIDTH)
    if value_dim != head_dim:
        raise refusal(file, value_key, expected=f"{head_dim}, as for keys", actual=str(value_dim))
    return head_dim


def _num_kv_heads(file: ModelFile, key: str, num_heads: int) -> int:
    num_kv_heads = optional_int(file, key, default=num_heads, minimum=1, maximum=num_heads)
    if num_heads % num_kv_heads:
        raise refusal(file, key, expected=f"a divisor of {num_heads} heads", actual=str(num_kv_heads))
    return num_kv_heads


def _rotary_dim(file: ModelFile, key: str, head_dim: int) -> int:
    rotary_dim = optional_int(file, key, default=head_dim, minimum=2, maximum=head_dim)
    if rotary_dim % 2:
        raise refusal(file, key, expected="an even number of dimensions", actual=str(rotary_dim))
    return rotary_dim


def _refuse_experts(file: ModelFile, architecture: str) -> None:
    experts = f"{architecture}.expert_count"
    if optional_int(file, experts, default=0, minimum=0, maximum=2**31):
        expected = f"none: experts are not supported for {architecture}"
        raise refusal(file, experts, expected=expected, actual=str(file.metadata[experts]))


def _refuse_narrow_window(file: ModelFile, architecture: str, context_length: int) -> None:
    key = f"{architecture}.attention.sliding_window"
    window = optional_int(file, key, default=0, minimum=0, maximum=2**32)
    if 0 < window < context_length:
        expected = f"none: a sliding window is not supported for {architecture}"
        raise refusal(file, key, expected=expected, actual=str(window))


def _refuse_rope_scaling(file: ModelFile, architecture: str) -> None:
    type_key, factor_key = f"{architecture}.rope.scaling.type", f"{architecture}.rope.scaling.factor"
    scaling = optional_str(file, type_key, default="none")
    if scaling != "none":
        raise refusal(
            file, type_key, expected="none: rope scaling is not supported yet", actual=repr(scaling)
        )
    for key in (factor_key, f"{architecture}.rope.scale_linear"):  # without a type a factor means linear
        factor = optional_float(file, key, default=1.0, above=-1.0, maximum=1e9)
        if type_key not in file.metadata and factor not in (0.0, 1.0):
            raise refusal(file, key, expected="none: rope scaling is not supported yet", actual=str(factor))
