"""Device memory, planned to the byte before any of it is allocated."""

from domain.errors import InsufficientVram
from ports.memory import MemoryPlan
from ports.model_description import Experts, FeedForward, Gelu, Layer, ModelDescription, SwiGlu

PAGE_TOKENS = 16  # positions a KV page holds: small enough to waste little, large enough to index cheaply
ALIGNMENT_BYTES = 256  # what device allocators align to (M0-W-1220)
HEADROOM_BYTES = 256 * 2**20  # of free memory, left to the driver and to others
PREFILL_CHUNK_TOKENS = 128  # of a prompt at once, where a device asks for no other number

_WORKSPACE_BYTES = 2**20  # partial results that a device's blocks hand to each other
_ID_BYTES = 4
_TILE_TOKENS = 128  # matrix products take activations in tiles of so many
_LIST_ALIGNMENT = 8  # where an expert's tokens begin among those of all experts
_FLOAT_BYTES = 4


def plan_memory(
    description: ModelDescription,
    *,
    free_bytes: int,
    gpu_device: int,
    path: str,
    kv_cache_bytes: int | None = None,
    max_sequences: int = 1,
    prefill_chunk_tokens: int = PREFILL_CHUNK_TOKENS,
) -> MemoryPlan:
    """Divide `free_bytes`, less the headroom, into weights, scratch and KV pages.

    The least that is accepted is one KV page per sequence: a prompt and answer of 16 tokens together.
    A pool smaller than the context is no error: jobs get the context that it holds.

    Args:
        description: the model.
        free_bytes: of the device, before anything is allocated.
        gpu_device: named in the error, as is `path`.
        path: of the model file.
        kv_cache_bytes: size of the KV pool, rounded down to whole pages but never to none; None takes what
            remains, up to a full context for each sequence.
        max_sequences: how many are open at once at most.
        prefill_chunk_tokens: how many of a prompt's tokens the device computes at once at most.

    Raises:
        InsufficientVram: weights, scratch and KV pool are more than there is; where the pool's size is left
            open, the least pool counts.
    """
    weights_bytes = sum(align(tensor.size_bytes) for tensor in description.tensors)
    chunk_tokens = min(prefill_chunk_tokens, description.context_length)
    scratch_bytes = _scratch_bytes(description, chunk_tokens=chunk_tokens, max_sequences=max_sequences)
    page_bytes = align(description.kv_bytes_per_token * PAGE_TOKENS)
    least_pages = useful_pages = max_sequences
    if kv_cache_bytes is None:
        useful_pages *= pages_for(description.context_length)
    else:
        least_pages = useful_pages = max(kv_cache_bytes // page_bytes, 1)
    fixed_bytes = weights_bytes + scratch_bytes
    required_bytes = fixed_bytes + least_pages * page_bytes
    available_bytes = max(free_bytes - HEADROOM_BYTES, 0)
    if required_bytes > available_bytes:
        raise InsufficientVram(
            f"needs {required_bytes} bytes of device memory; device {gpu_device} has {available_bytes} to "
            f"give, since of {free_bytes} that are free {HEADROOM_BYTES} are kept back",
            required_bytes=required_bytes,
            available_bytes=available_bytes,
            gpu_device=gpu_device,
            path=path,
        )
    return MemoryPlan(
        weights_bytes=weights_bytes,
        kv_page_bytes=page_bytes,
        num_kv_pages=min((available_bytes - fixed_bytes) // page_bytes, useful_pages),
        page_tokens=PAGE_TOKENS,
        scratch_bytes=scratch_bytes,
        max_model_len=description.context_length,
        prefill_chunk_tokens=chunk_tokens,
    )


def align(size_bytes: int) -> int:
    """`size_bytes` rounded up to the alignment of device allocations."""
    return -(-size_bytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


def pages_for(num_tokens: int, *, page_tokens: int = PAGE_TOKENS) -> int:
    """How many KV pages `num_tokens` positions take."""
    return -(-num_tokens // page_tokens)


def _scratch_bytes(description: ModelDescription, *, chunk_tokens: int, max_sequences: int) -> int:
    """An upper bound: every intermediate of one layer in float32, for a chunk and for a token; what fills up
    experts' lists of tokens; logits twice, raw and filtered; what is noted of a sequence: its pages, and
    which ids it has generated.
    """
    rows = -(-chunk_tokens // _TILE_TOKENS) * _TILE_TOKENS + max_sequences
    hidden_size, layers = description.hidden_size, description.layers
    widest = max(_layer_floats(layer, hidden_size) for layer in layers)
    filling = max(_filling_floats(layer.feed_forward, hidden_size) for layer in layers)
    activations = (rows * (2 * hidden_size + widest) + filling) * _FLOAT_BYTES
    logits = max_sequences * 2 * description.vocab_size * _FLOAT_BYTES
    notes = max_sequences * (description.vocab_size + pages_for(description.context_length) * _ID_BYTES)
    return align(activations) + align(logits) + align(notes) + _WORKSPACE_BYTES


def _layer_floats(layer: Layer, hidden_size: int) -> int:
    """Per token: Q, K, V and the attention's output, and the feed-forward's insides."""
    attention = layer.attention
    heads = 2 * attention.num_heads + 2 * attention.num_kv_heads
    return heads * attention.head_dim + _feed_forward_floats(layer.feed_forward, hidden_size)


def _feed_forward_floats(feed_forward: FeedForward, hidden_size: int) -> int:
    match feed_forward:
        case SwiGlu():  # gate, up and their product
            return 3 * feed_forward.intermediate_size
        case Gelu():  # before and after the activation
            return 2 * feed_forward.intermediate_size
        case Experts():  # the router's logits, and what every active expert is given, has inside and gives
            floats = 2 * hidden_size + feed_forward.intermediate_size
            return feed_forward.num_experts + feed_forward.num_active * floats


def _filling_floats(feed_forward: FeedForward, hidden_size: int) -> int:
    """What each expert is given and has inside, of tokens that there are not: up to its list's alignment, and
    up to a whole tile behind the last. In float16, as matrix products take it.
    """
    if not isinstance(feed_forward, Experts):
        return 0
    num_rows = _LIST_ALIGNMENT * feed_forward.num_experts + _TILE_TOKENS
    return num_rows * (hidden_size + feed_forward.intermediate_size) // 2
