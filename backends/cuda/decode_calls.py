"""The launches of one decode step, from a model's description."""

from collections.abc import Iterator
from ctypes import c_uint64
from dataclasses import dataclass

from backends.cuda.call import Call, kernel_name
from backends.cuda.compiler import KernelSource
from backends.cuda.decode_args import MOST_ROTATIONS, AttentionArgs, Rotation, Rotations
from backends.cuda.decode_buffers import DecodeBuffers, ropes_of
from backends.cuda.geometry import attention_geometry
from backends.cuda.matvec_calls import MatvecCalls, Weights, is_read_as_int8
from backends.cuda.packed import PackedMatrix
from ports.model_description import (
    Attention,
    Experts,
    FeedForward,
    Gelu,
    ModelDescription,
    Norm,
    RopePairing,
    SwiGlu,
    Yarn,
)
from ports.tensor_types import TensorType


@dataclass(frozen=True, slots=True)
class SequencePointers:
    """What the kernels know of a sequence."""

    d_token: int  # int32, the last token
    d_position: int  # int32, of that token
    d_page_table: int  # [pages] int32


@dataclass(frozen=True, slots=True)
class KvPool:
    """The cache: pages of keys and values of every layer."""

    d_pool: int
    page_bytes: int
    layer_bytes: tuple[int, ...]  # where each layer lies in a page


class DecodeCalls:
    """Makes the launches of a decode step of one sequence.

    Args:
        description: the model.
        weights: where its tensors lie.
        buffers: the step's intermediates.
        pool: the KV cache.
        num_multiprocessors: of the device.
    """

    def __init__(
        self,
        description: ModelDescription,
        *,
        weights: Weights,
        buffers: DecodeBuffers,
        pool: KvPool,
        num_multiprocessors: int,
    ) -> None:
        self._description = description
        self._weights = weights
        self._buffers = buffers
        self._pool = pool
        self._num_multiprocessors = num_multiprocessors
        self._matvec = MatvecCalls(weights, num_multiprocessors=num_multiprocessors)

    def step(self, sequence: SequencePointers) -> Iterator[Call]:
        """From the last token to the logits of the next."""
        yield self._begin(sequence)
        for index, layer in enumerate(self._description.layers):
            yield from self._attention(layer.attention_norm, layer.attention, index, sequence)
            yield from self._feed_forward(layer.feed_forward_norm, layer.feed_forward)
        yield self.head(self._buffers.d_x)

    def head(self, d_x: int) -> Call:
        """The logits of one position, whose hidden state is at `d_x`."""
        output_norm, output = self._description.output_norm, self._description.output
        return self._matvec.rows(output_norm, [output], d_x, self._buffers.d_logits)

    def _begin(self, sequence: SequencePointers) -> Call:
        description = self._description
        ropes = ropes_of(description)
        rotations = Rotations()
        for index, rope in enumerate(ropes[:MOST_ROTATIONS]):
            magnitude = rope.scaling.attention_factor if isinstance(rope.scaling, Yarn) else 1.0
            rotations.of[index] = Rotation(
                self._buffers.d_frequencies[rope],
                self._buffers.d_rotations[rope],
                rope.rotary_dim // 2,
                magnitude,
            )
        positions = description.position_embedding
        types = [description.embedding.type, TensorType.F32 if positions is None else positions.type]
        return Call(
            KernelSource("decode_begin.cu", kernel_name("decode_begin", *types)),
            grid=(1 + len(ropes), 1),
            num_threads=256,
            args=(
                c_uint64(sequence.d_token),
                c_uint64(sequence.d_position),
                self._weights.matrix(description.embedding),
                PackedMatrix() if positions is None else self._weights.matrix(positions),
                rotations,
                c_uint64(self._buffers.d_x),
            ),
        )

    def _attention(
        self, norm: Norm, attention: Attention, layer_index: int, sequence: SequencePointers
    ) -> Iterator[Call]:
        buffers = self._buffers
        linears = [attention.query, attention.key, attention.value]
        yield self._matvec.rows(norm, linears, buffers.d_x, buffers.d_qkv)
        geometry = attention_geometry(attention, self._num_multiprocessors)
        rope, head_norm = attention.rope, attention.query_norm
        args = AttentionArgs(
            d_qkv=buffers.d_qkv,
            d_position=sequence.d_position,
            d_page_table=sequence.d_page_table,
            d_pool=self._pool.d_pool,
            page_bytes=self._pool.page_bytes,
            layer_bytes=self._pool.layer_bytes[layer_index],
            d_rotation=0 if rope is None else buffers.d_rotations[rope],
            rotary_dim=0 if rope is None else rope.rotary_dim,
            is_adjacent=rope is not None and rope.pairing is RopePairing.ADJACENT,
            query_norm=self._matvec.vector(None if head_norm is None else head_norm.weight),
            key_norm=self._matvec.vector(None if attention.key_norm is None else attention.key_norm.weight),
            norm_eps=0.0 if head_norm is None else head_norm.eps,
            sinks=self._matvec.vector(attention.sinks),
            window=attention.window or 0,
            num_kv_heads=attention.num_kv_heads,
            group_size=attention.num_heads // attention.num_kv_heads,
            d_partial=buffers.d_partial,
            d_num_arrived=buffers.d_num_arrived,
            d_out=buffers.d_mixed,
        )
        as_int8 = is_read_as_int8(attention.output.weight) and attention.head_dim % 32 == 0
        name = kernel_name(
            "decode_attention",
            attention.head_dim,
            geometry.heads,
            "true" if as_int8 else "false",
            geometry.num_warps,
            geometry.num_splits,
            geometry.num_stages,
        )
        yield Call(
            KernelSource("decode_attention.cu", name),
            grid=(geometry.num_blocks, geometry.num_splits),
            num_threads=32 * geometry.num_warps,
            args=(args,),
            shared_bytes=geometry.shared_bytes,
        )
        yield self._matvec.project(attention.output, buffers.d_mixed, buffers.d_x, is_int8=as_int8)

    def _feed_forward(self, norm: Norm, feed_forward: FeedForward) -> Iterator[Call]:
        matvec, d_x, d_inside = self._matvec, self._buffers.d_x, self._buffers.d_inside
        match feed_forward:
            case SwiGlu():
                is_int8 = is_read_as_int8(feed_forward.down.weight)
                yield matvec.swiglu(norm, feed_forward.gate, feed_forward.up, d_x, d_inside, as_int8=is_int8)
                yield matvec.project(feed_forward.down, d_inside, d_x, is_int8=is_int8)
            case Gelu():
                is_int8 = is_read_as_int8(feed_forward.down.weight)
                yield matvec.gelu(norm, feed_forward.up, d_x, d_inside, as_int8=is_int8)
                yield matvec.project(feed_forward.down, d_inside, d_x, is_int8=is_int8)
            case Experts():
                d_router = self._buffers.d_router
                yield matvec.rows(norm, [feed_forward.router], d_x, d_router)
                yield matvec.experts_inside(norm, feed_forward, d_x, d_router, d_inside)
                yield matvec.experts_down(feed_forward, d_inside, d_router, d_x)
