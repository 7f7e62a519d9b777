"""How many bytes one decoded token must read from device memory, whatever the kernels."""

from ports.model_description import Experts, Layer, ModelDescription


def bytes_per_token(description: ModelDescription, *, context: int) -> int:
    """Weights and KV cache read for one token of one sequence.

    Every tensor but an embedding that is not the head as well (one row of it is read); of experts those that
    compute the token; keys and values of `context` positions, or of the window where that is less.
    """
    lookups = {description.embedding.name} - {description.output.weight.name}
    if description.position_embedding is not None:
        lookups.add(description.position_embedding.name)
    weights = sum(tensor.size_bytes for tensor in description.tensors if tensor.name not in lookups)
    idle = sum(_idle_expert_bytes(layer) for layer in description.layers)
    return weights - idle + sum(_kv_bytes(layer, context) for layer in description.layers)


def _idle_expert_bytes(layer: Layer) -> int:
    experts = layer.feed_forward
    if not isinstance(experts, Experts):
        return 0
    matrices = (experts.gate, experts.up, experts.down)
    size_bytes = sum(matrix.weight.size_bytes + matrix.bias.size_bytes for matrix in matrices)
    return size_bytes * (experts.num_experts - experts.num_active) // experts.num_experts


def _kv_bytes(layer: Layer, context: int) -> int:
    attention = layer.attention
    positions = min(context, attention.window or context)
    return 2 * 2 * attention.num_kv_heads * attention.head_dim * positions  # keys and values, FP16
