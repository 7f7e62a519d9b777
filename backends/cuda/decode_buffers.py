"""Where a step's intermediates lie on the device, and how much room they need."""

from collections.abc import Mapping
from dataclasses import dataclass

from backends.cuda.geometry import attention_geometry
from ports.model_description import Experts, FeedForward, ModelDescription, Rope

_FLOAT_BYTES = 4


@dataclass(frozen=True, slots=True)
class DecodeBuffers:
    """Addresses. H = hidden_size, Q, K = query and key sizes, F = intermediate_size, V = vocab_size."""

    d_x: int  # [H], the residual stream
    d_qkv: int  # [Q + 2K] of the layer
    d_mixed: int  # [Q], the attention's output: float32, or int8 blocks
    d_inside: int  # [F], or [active, F]: the inside of the feed-forward, likewise
    d_router: int  # [num_experts] logits
    d_logits: int  # [V]
    d_partial: int  # the attention's splits
    d_num_arrived: int  # likewise; zero between launches
    d_rotations: Mapping[Rope, int]  # [rotary_dim/2, 2] of the step's position
    d_frequencies: Mapping[Rope, int]  # [rotary_dim/2] float64, written once


def ropes_of(description: ModelDescription) -> tuple[Rope, ...]:
    """Every kind of rotation the model has, each once."""
    ropes = (layer.attention.rope for layer in description.layers)
    return tuple(dict.fromkeys(rope for rope in ropes if rope is not None))


def decode_sizes(description: ModelDescription, *, num_multiprocessors: int) -> dict[str, int]:
    """Bytes of each buffer of `DecodeBuffers` but the rotations, by its name."""
    attentions = [layer.attention for layer in description.layers]
    geometries = [attention_geometry(attention, num_multiprocessors) for attention in attentions]
    head_sizes = [(a.num_heads, a.num_heads + 2 * a.num_kv_heads, a.head_dim) for a in attentions]
    insides = [_inside_size(layer.feed_forward) for layer in description.layers]
    num_experts = [
        f.num_experts for layer in description.layers if isinstance(f := layer.feed_forward, Experts)
    ]
    return {
        "d_x": _FLOAT_BYTES * description.hidden_size,
        "d_qkv": _FLOAT_BYTES * max(every * size for _, every, size in head_sizes),
        "d_mixed": _FLOAT_BYTES * max(queries * size for queries, _, size in head_sizes),
        "d_inside": _FLOAT_BYTES * max(insides),
        "d_router": _FLOAT_BYTES * max(num_experts, default=0),
        "d_logits": _FLOAT_BYTES * description.vocab_size,
        "d_partial": _FLOAT_BYTES * max(geometry.partial_floats for geometry in geometries),
        "d_num_arrived": 4 * max(geometry.num_blocks for geometry in geometries),
    }


def _inside_size(feed_forward: FeedForward) -> int:
    if isinstance(feed_forward, Experts):
        return feed_forward.num_active * feed_forward.intermediate_size
    return feed_forward.intermediate_size
