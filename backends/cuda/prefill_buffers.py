"""Where a chunk's intermediates lie on the device, and how much room they need.

Letters: T = tokens of the chunk, H = hidden_size, Q, K = query and key sizes, F = intermediate_size,
E = num_experts, A = active ones, P = T * A pairs of a token and an expert, each of the layer with the most.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from backends.cuda.panels import panels_bytes
from ports.model_description import Experts, FeedForward, ModelDescription, Rope

_LIST_ALIGNMENT = 8  # of an expert's pairs among all of them
_LARGEST_TILE = 128  # of tokens, which an expert's last pairs may not fill


@dataclass(frozen=True, slots=True)
class PrefillBuffers:
    """Addresses, of at least `prefill_sizes` bytes each. Panels: see panels.cuh."""

    num_tokens: int  # that there is room for
    d_x: int  # [T, H] float32, the residual stream
    d_normed: int  # panels of [T, H]
    d_normed_exact: int  # [T, H] float32, for a router
    d_qkv: int  # [T, Q + 2K] float32
    d_queries: int  # [T, Q] float16
    d_mixed: int  # panels of [T, Q], the attention's output
    d_inside: int  # panels of [T, F]; experts: of `sorted_rows` rows
    d_sorted: int  # panels of [`sorted_rows`, H], the input of each expert
    d_given: int  # [P, H] float32, the output of each expert
    d_chosen: int  # [P] int32
    d_shares: int  # [P] float32
    d_counts: int  # [E] int32
    d_starts: int  # [E] int32
    d_pairs: int  # [P + 8E] int32
    d_frequencies: Mapping[Rope, int]  # [rotary_dim/2] float64, written once


def sorted_rows(experts: Experts, num_tokens: int) -> int:
    """Rows of panels that hold each expert's pairs, with what a tile reads past the last of them."""
    return num_tokens * experts.num_active + _LIST_ALIGNMENT * experts.num_experts + _LARGEST_TILE


def prefill_sizes(description: ModelDescription, num_tokens: int) -> dict[str, int]:
    """Bytes of each buffer of `PrefillBuffers` but the frequencies, by its name, for up to `num_tokens`."""
    attentions = [layer.attention for layer in description.layers]
    feed_forwards = [layer.feed_forward for layer in description.layers]
    experts = [f for f in feed_forwards if isinstance(f, Experts)]
    hidden_size = description.hidden_size
    num_pairs = num_tokens * max((f.num_active for f in experts), default=0)
    num_experts = max((f.num_experts for f in experts), default=0)
    most_sorted = max((sorted_rows(f, num_tokens) for f in experts), default=0)
    query_size = max(a.num_heads * a.head_dim for a in attentions)
    return {
        "d_x": 4 * num_tokens * hidden_size,
        "d_normed": panels_bytes(num_rows=num_tokens, num_columns=hidden_size),
        "d_normed_exact": 4 * num_tokens * hidden_size if experts else 0,
        "d_qkv": max(4 * num_tokens * (a.num_heads + 2 * a.num_kv_heads) * a.head_dim for a in attentions),
        "d_queries": 2 * num_tokens * query_size,
        "d_mixed": panels_bytes(num_rows=num_tokens, num_columns=query_size),
        "d_inside": max(_inside_bytes(f, num_tokens) for f in feed_forwards),
        "d_sorted": panels_bytes(num_rows=most_sorted, num_columns=hidden_size),
        "d_given": 4 * num_pairs * hidden_size,
        "d_chosen": 4 * num_pairs,
        "d_shares": 4 * num_pairs,
        "d_counts": 4 * num_experts,
        "d_starts": 4 * num_experts,
        "d_pairs": 4 * (num_pairs + _LIST_ALIGNMENT * num_experts),
    }


def _inside_bytes(feed_forward: FeedForward, num_tokens: int) -> int:
    num_rows = sorted_rows(feed_forward, num_tokens) if isinstance(feed_forward, Experts) else num_tokens
    return panels_bytes(num_rows=num_rows, num_columns=feed_forward.intermediate_size)
