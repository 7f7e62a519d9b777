"""The launches of attention over a chunk: rotation, the write to the cache, and the attention itself."""

import math
from collections.abc import Iterator
from ctypes import c_float, c_int32, c_uint64
from dataclasses import dataclass

from backends.cuda.call import Call, kernel_name
from backends.cuda.compiler import KernelSource
from backends.cuda.decode_calls import KvPool
from backends.cuda.matvec_calls import Weights
from backends.cuda.prefill_args import KvPages, RopeArgs
from backends.cuda.prefill_buffers import PrefillBuffers
from backends.cuda.prefill_matmul import MatmulCalls, padded, vector
from ports.model_description import Attention, RmsNorm, Rope, RopePairing, Yarn

_QUERIES = 64  # of one head, in a block
_KEYS = 64  # of a tile
_ATTENTION_THREADS = 128
_ROPE_THREADS = 256


@dataclass(frozen=True, slots=True)
class ChunkPointers:
    """What the kernels know of a chunk and its sequence."""

    d_token_ids: int  # [T] int32
    d_positions: int  # [T] int32, consecutive
    d_page_table: int  # [pages] int32


def attention_shared_bytes(head_dim: int) -> int:
    """`shared_bytes` of prefill_attention.cu: tiles of queries, keys and values, rows padded."""
    stride = -(-head_dim // 16) * 16 + 8
    return 2 * (_QUERIES + 2 * _KEYS) * stride


class AttentionCalls:
    """Makes launches. See `PrefillCalls`."""

    def __init__(self, weights: Weights, matmul: MatmulCalls, buffers: PrefillBuffers, pool: KvPool) -> None:
        self._weights = weights
        self._matmul = matmul
        self._buffers = buffers
        self._pool = pool

    def attend(
        self, attention: Attention, layer_index: int, chunk: ChunkPointers, num_tokens: int
    ) -> Iterator[Call]:
        """Add the attention of the normed rows to the residual stream."""
        buffers, query_size = self._buffers, attention.num_heads * attention.head_dim
        key_size = attention.num_kv_heads * attention.head_dim
        y_stride = query_size + 2 * key_size
        for linear, column in (
            (attention.query, 0),
            (attention.key, query_size),
            (attention.value, query_size + key_size),
        ):
            d_y = buffers.d_qkv + 4 * column
            yield self._matmul.product(
                linear, buffers.d_normed, d_y, num_tokens=num_tokens, y_stride=y_stride
            )
        pages = self._pages(attention, layer_index, chunk)
        yield self._rope(attention, pages, chunk, num_tokens)
        yield self._attention(attention, pages, chunk, num_tokens)
        hidden_size = len(attention.output.rows)
        yield self._matmul.product(
            attention.output,
            buffers.d_mixed,
            buffers.d_x,
            num_tokens=num_tokens,
            y_stride=hidden_size,
            adds=True,
        )

    def _rope(self, attention: Attention, pages: KvPages, chunk: ChunkPointers, num_tokens: int) -> Call:
        return Call(
            KernelSource("prefill_rope.cu", "rope"),
            grid=(num_tokens,),
            num_threads=_ROPE_THREADS,
            args=(
                c_uint64(self._buffers.d_qkv),
                c_int32(attention.num_heads),
                vector(self._weights, None if attention.query_norm is None else attention.query_norm.weight),
                vector(self._weights, None if attention.key_norm is None else attention.key_norm.weight),
                c_float(_eps(attention.query_norm)),
                c_float(_eps(attention.key_norm)),
                self._rope_args(attention.rope),
                c_float(1 / math.sqrt(attention.head_dim)),
                c_uint64(self._buffers.d_queries),
                pages,
                c_uint64(chunk.d_positions),
            ),
        )

    def _attention(self, attention: Attention, pages: KvPages, chunk: ChunkPointers, num_tokens: int) -> Call:
        return Call(
            KernelSource("prefill_attention.cu", kernel_name("attention", attention.head_dim)),
            grid=(-(-num_tokens // _QUERIES), attention.num_heads),
            num_threads=_ATTENTION_THREADS,
            args=(
                c_uint64(self._buffers.d_queries),
                pages,
                c_uint64(chunk.d_positions),
                c_int32(num_tokens),
                c_int32(attention.num_heads),
                c_int32(attention.window or 0),
                vector(self._weights, attention.sinks),
                c_uint64(self._buffers.d_mixed),
                c_int32(padded(attention.num_heads * attention.head_dim)),
            ),
            shared_bytes=attention_shared_bytes(attention.head_dim),
        )

    def _rope_args(self, rope: Rope | None) -> RopeArgs:
        if rope is None:
            return RopeArgs()
        magnitude = rope.scaling.attention_factor if isinstance(rope.scaling, Yarn) else 1.0
        is_adjacent = rope.pairing is RopePairing.ADJACENT
        return RopeArgs(self._buffers.d_frequencies[rope], magnitude, rope.rotary_dim, is_adjacent)

    def _pages(self, attention: Attention, layer_index: int, chunk: ChunkPointers) -> KvPages:
        return KvPages(
            self._pool.d_pool,
            chunk.d_page_table,
            self._pool.page_bytes,
            self._pool.layer_bytes[layer_index],
            attention.num_kv_heads,
            attention.head_dim,
        )


def _eps(norm: RmsNorm | None) -> float:
    return 0.0 if norm is None else norm.eps
