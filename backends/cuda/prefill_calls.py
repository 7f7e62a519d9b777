"""The launches that take a chunk of a prompt through all layers, from a model's description."""

from collections.abc import Iterator, Sequence
from ctypes import c_float, c_uint64

from backends.cuda.call import Call, kernel_name
from backends.cuda.compiler import KernelSource
from backends.cuda.decode_calls import KvPool
from backends.cuda.matvec_calls import Weights
from backends.cuda.panels import panels
from backends.cuda.prefill_attention import AttentionCalls, ChunkPointers
from backends.cuda.prefill_buffers import PrefillBuffers
from backends.cuda.prefill_feed_forward import FeedForwardCalls
from backends.cuda.prefill_matmul import MatmulCalls, Tokens, vector
from ports.model_description import Experts, LayerNorm, ModelDescription, Norm, RmsNorm
from ports.model_file import TensorInfo

_GATHER_THREADS = 128
_NORM_THREADS = 512
_CHUNK_SIZES = (16, 32, 64, 128, 256, 512)


class PrefillCalls:
    """Makes the launches of a chunk of one sequence.

    How many tokens the chunk has and where it starts the kernels read from the device: launches made once
    serve all chunks up to a size. A token's results, to the bit, depend neither on
    the tokens beside it nor on how a prompt is cut into chunks.

    Args:
        description: the model.
        weights: where its tensors lie.
        buffers: the chunk's intermediates.
        pool: the KV cache.
        num_multiprocessors, max_shared_bytes: of the device.
    """

    def __init__(
        self,
        description: ModelDescription,
        *,
        weights: Weights,
        buffers: PrefillBuffers,
        pool: KvPool,
        num_multiprocessors: int,
        max_shared_bytes: int,
    ) -> None:
        self._description = description
        self._weights = weights
        self._buffers = buffers
        matmul = MatmulCalls(
            weights, num_multiprocessors=num_multiprocessors, max_shared_bytes=max_shared_bytes
        )
        self._attention = AttentionCalls(weights, matmul, buffers, pool)
        self._feed_forward = FeedForwardCalls(weights, matmul, buffers)

    def chunk(self, chunk: ChunkPointers, most_tokens: int) -> Iterator[Call]:
        """From token ids to the residual stream after the last layer, not yet normed, in `buffers.d_x`."""
        tokens = Tokens(most_tokens, chunk.d_num_tokens)
        yield from self._embed(chunk, tokens)
        for index, layer in enumerate(self._description.layers):
            yield self._norm(layer.attention_norm, tokens)
            yield from self._attention.attend(layer.attention, index, chunk, tokens)
            is_routed = isinstance(layer.feed_forward, Experts)
            yield self._norm(layer.feed_forward_norm, tokens, is_routed=is_routed)
            yield from self._feed_forward.feed(layer.feed_forward, self._description.hidden_size, tokens)

    def _embed(self, chunk: ChunkPointers, tokens: Tokens) -> Iterator[Call]:
        yield self._gather(self._description.embedding, chunk.d_token_ids, tokens, adds=False)
        if self._description.position_embedding is not None:
            yield self._gather(self._description.position_embedding, chunk.d_positions, tokens, adds=True)

    def _gather(self, table: TensorInfo, d_ids: int, tokens: Tokens, *, adds: bool) -> Call:
        name = kernel_name("gather_rows", table.type, "true" if adds else "false")
        return Call(
            KernelSource("dequantize.cu", name),
            grid=(tokens.most,),
            num_threads=_GATHER_THREADS,
            args=(
                self._weights.matrix(table),
                c_uint64(d_ids),
                c_uint64(self._buffers.d_x),
                c_uint64(tokens.d_count),
            ),
        )

    def _norm(self, norm: Norm, tokens: Tokens, *, is_routed: bool = False) -> Call:
        """Of the residual stream; exact as well where a router reads it."""
        buffers, size = self._buffers, self._description.hidden_size
        biases = [vector(self._weights, norm.bias)] if isinstance(norm, LayerNorm) else []
        return Call(
            KernelSource("prefill_norm.cu", "rms_norm" if isinstance(norm, RmsNorm) else "layer_norm"),
            grid=(tokens.most,),
            num_threads=_NORM_THREADS,
            args=(
                c_uint64(buffers.d_x),
                vector(self._weights, norm.weight),
                *biases,
                c_float(norm.eps),
                panels(buffers.d_normed, num_rows=buffers.num_tokens, num_columns=size),
                c_uint64(buffers.d_normed_exact if is_routed else 0),
                c_uint64(tokens.d_count),
            ),
        )


def chunk_sizes(most_tokens: int) -> Sequence[int]:
    """What chunks are rounded up to: launches are made for these, and kernels cut for them. Ascending."""
    sizes = [size for size in _CHUNK_SIZES if size < most_tokens]
    return (*sizes, most_tokens)


def prefill_sources(calls: PrefillCalls, most_tokens: int) -> set[KernelSource]:
    """Every kernel that a chunk of up to `most_tokens` may need."""
    nowhere = ChunkPointers(0, 0, 0, 0)
    return {call.source for size in chunk_sizes(most_tokens) for call in calls.chunk(nowhere, size)}
