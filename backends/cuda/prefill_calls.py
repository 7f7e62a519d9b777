"""The launches that take a chunk of a prompt through all layers, from a model's description."""

from collections.abc import Iterator
from ctypes import c_float, c_int32, c_uint64

from backends.cuda.call import Call, kernel_name
from backends.cuda.compiler import KernelSource
from backends.cuda.decode_calls import KvPool
from backends.cuda.matvec_calls import Weights
from backends.cuda.prefill_attention import AttentionCalls, ChunkPointers
from backends.cuda.prefill_buffers import PrefillBuffers
from backends.cuda.prefill_feed_forward import FeedForwardCalls
from backends.cuda.prefill_matmul import (
    TILES,
    MatmulCalls,
    expert_matmul_source,
    matmul_source,
    padded,
    vector,
)
from ports.model_description import Experts, LayerNorm, Linear, ModelDescription, Norm, RmsNorm, SwiGlu
from ports.model_file import TensorInfo

_GATHER_THREADS = 128
_NORM_THREADS = 256


class PrefillCalls:
    """Makes the launches of a chunk of one sequence.

    They depend on how many tokens the chunk has, not on where it starts, which the kernels read from the
    device: launches made once serve all chunks of a size. A token's results, to the bit, depend neither on
    the tokens beside it nor on how a prompt is cut into chunks.

    Args:
        description: the model.
        weights: where its tensors lie.
        buffers: the chunk's intermediates.
        pool: the KV cache.
        num_multiprocessors: of the device.
    """

    def __init__(
        self,
        description: ModelDescription,
        *,
        weights: Weights,
        buffers: PrefillBuffers,
        pool: KvPool,
        num_multiprocessors: int,
    ) -> None:
        self._description = description
        self._weights = weights
        self._buffers = buffers
        matmul = MatmulCalls(weights, num_multiprocessors=num_multiprocessors)
        self._attention = AttentionCalls(weights, matmul, buffers, pool)
        self._feed_forward = FeedForwardCalls(weights, matmul, buffers)

    def chunk(self, chunk: ChunkPointers, num_tokens: int) -> Iterator[Call]:
        """From token ids to the residual stream after the last layer, not yet normed, in `buffers.d_x`."""
        yield from self._embed(chunk, num_tokens)
        for index, layer in enumerate(self._description.layers):
            yield self._norm(layer.attention_norm, num_tokens)
            yield from self._attention.attend(layer.attention, index, chunk, num_tokens)
            is_routed = isinstance(layer.feed_forward, Experts)
            yield self._norm(layer.feed_forward_norm, num_tokens, is_routed=is_routed)
            yield from self._feed_forward.feed(layer.feed_forward, self._description.hidden_size, num_tokens)

    def _embed(self, chunk: ChunkPointers, num_tokens: int) -> Iterator[Call]:
        yield self._gather(self._description.embedding, chunk.d_token_ids, num_tokens, adds=False)
        if self._description.position_embedding is not None:
            yield self._gather(self._description.position_embedding, chunk.d_positions, num_tokens, adds=True)

    def _gather(self, table: TensorInfo, d_ids: int, num_tokens: int, *, adds: bool) -> Call:
        name = kernel_name("gather_rows", table.type, "true" if adds else "false")
        return Call(
            KernelSource("dequantize.cu", name),
            grid=(num_tokens,),
            num_threads=_GATHER_THREADS,
            args=(self._weights.matrix(table), c_uint64(d_ids), c_uint64(self._buffers.d_x)),
        )

    def _norm(self, norm: Norm, num_tokens: int, *, is_routed: bool = False) -> Call:
        """Of the residual stream; exact as well where a router reads it."""
        buffers, size = self._buffers, self._description.hidden_size
        biases = [vector(self._weights, norm.bias)] if isinstance(norm, LayerNorm) else []
        return Call(
            KernelSource("prefill_norm.cu", "rms_norm" if isinstance(norm, RmsNorm) else "layer_norm"),
            grid=(num_tokens,),
            num_threads=_NORM_THREADS,
            args=(
                c_uint64(buffers.d_x),
                vector(self._weights, norm.weight),
                *biases,
                c_float(norm.eps),
                c_uint64(buffers.d_normed),
                c_int32(padded(size)),
                c_uint64(buffers.d_normed_exact if is_routed else 0),
                c_int32(size),
            ),
        )


def prefill_sources(description: ModelDescription, calls: PrefillCalls) -> set[KernelSource]:
    """Every kernel that a chunk of any size may need: matrix products in all their tiles."""
    nowhere = ChunkPointers(0, 0, 0)
    sources = {call.source for call in calls.chunk(nowhere, 1)}
    for linear in _linears(description):
        sources |= {matmul_source(linear.weight.type, tile) for tile in TILES}
    for layer in description.layers:
        if isinstance(experts := layer.feed_forward, Experts):
            for matrix in (experts.gate, experts.up, experts.down):
                sources |= {expert_matmul_source(matrix.weight.type, tile) for tile in TILES}
    return sources


def _linears(description: ModelDescription) -> Iterator[Linear]:
    for layer in description.layers:
        attention, feed_forward = layer.attention, layer.feed_forward
        yield from (attention.query, attention.key, attention.value, attention.output)
        if isinstance(feed_forward, SwiGlu):
            yield feed_forward.gate
        if not isinstance(feed_forward, Experts):
            yield from (feed_forward.up, feed_forward.down)
