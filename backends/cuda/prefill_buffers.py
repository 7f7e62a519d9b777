"""Where a chunk's intermediates lie on the device, and how much room they need.

Letters: T = tokens of the chunk, H = hidden_size, Q, K = query and key sizes, F = intermediate_size,
E = num_experts, A = active ones, each of the layer with the most. A size in bars, |H|, is rounded up to a
multiple of 64.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from backends.cuda.prefill_matmul import padded
from ports.model_description import Experts, FeedForward, ModelDescription, Rope, SwiGlu


@dataclass(frozen=True, slots=True)
class PrefillBuffers:
    """Addresses, of at least `prefill_sizes` bytes each."""

    d_x: int  # [T, H] float32, the residual stream
    d_normed: int  # [T, |H|] bfloat16
    d_normed_exact: int  # [T, H] float32, for a router
    d_qkv: int  # [T, Q + 2K] float32
    d_queries: int  # [T, Q] float16
    d_mixed: int  # [T, |Q|] bfloat16, the attention's output
    d_wide: int  # [T, 2F] float32; experts: [T, A, 2F], then [T, A, H]
    d_inside: int  # [T, |F|] bfloat16; experts: [T, A, |F|]
    d_chosen: int  # [T, A] int32
    d_shares: int  # [T, A] float32
    d_counts: int  # [E] int32
    d_pairs: int  # [E, T] int32
    d_frequencies: Mapping[Rope, int]  # [rotary_dim/2] float64, written once


def prefill_sizes(description: ModelDescription, num_tokens: int) -> dict[str, int]:
    """Bytes of each buffer of `PrefillBuffers` but the frequencies, by its name, for up to `num_tokens`."""
    attentions = [layer.attention for layer in description.layers]
    feed_forwards = [layer.feed_forward for layer in description.layers]
    experts = [f for f in feed_forwards if isinstance(f, Experts)]
    hidden_size = description.hidden_size
    num_active = max((f.num_active for f in experts), default=0)
    per_token = {
        "d_x": 4 * hidden_size,
        "d_normed": 2 * padded(hidden_size),
        "d_normed_exact": 4 * hidden_size if experts else 0,
        "d_qkv": max(4 * (a.num_heads + 2 * a.num_kv_heads) * a.head_dim for a in attentions),
        "d_queries": max(2 * a.num_heads * a.head_dim for a in attentions),
        "d_mixed": max(2 * padded(a.num_heads * a.head_dim) for a in attentions),
        "d_wide": max(4 * _wide_floats(f, hidden_size) for f in feed_forwards),
        "d_inside": max(2 * _num_active(f) * padded(f.intermediate_size) for f in feed_forwards),
        "d_chosen": 4 * num_active,
        "d_shares": 4 * num_active,
        "d_pairs": max((4 * f.num_experts for f in experts), default=0),
    }
    sizes = {name: num_tokens * size_bytes for name, size_bytes in per_token.items()}
    return sizes | {"d_counts": max((4 * f.num_experts for f in experts), default=0)}


def _wide_floats(feed_forward: FeedForward, hidden_size: int) -> int:
    """Of a token, between the matrices of a feed-forward."""
    match feed_forward:
        case SwiGlu():
            return 2 * feed_forward.intermediate_size
        case Experts():
            return feed_forward.num_active * max(2 * feed_forward.intermediate_size, hidden_size)
    return feed_forward.intermediate_size


def _num_active(feed_forward: FeedForward) -> int:
    return feed_forward.num_active if isinstance(feed_forward, Experts) else 1
