"""The launches of attention over a chunk: rotation, the write to the cache, and the attention itself."""

import math
from collections.abc import Iterator
from ctypes import c_float, c_int32, c_uint64
from dataclasses import dataclass

from backends.cuda.call import Call, kernel_name
from backends.cuda.compiler import KernelSource
from backends.cuda.decode_calls import KvPool
from backends.cuda.matvec_calls import Weights
from backends.cuda.panels import panels
from backends.cuda.prefill_args import KvPages, PanelsArgs, RopeArgs
from backends.cuda.prefill_buffers import PrefillBuffers
from backends.cuda.prefill_matmul import MatmulCalls, Tokens, vector
from ports.model_description import Attention, RmsNorm, Rope, RopePairing, Yarn

_QUERIES = 64  # of one head, in a block
_KEYS = 64  # of a tile
_ATTENTION_THREADS = 128
_ROPE_THREADS = 256
_ROPE_HEADS = 8  # of a block, one a warp


@dataclass(frozen=True, slots=True)
class ChunkPointers:
    """What the kernels know of a chunk and its sequence."""

    d_num_tokens: int  # [1] int32: T
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
        self, attention: Attention, layer_index: int, chunk: ChunkPointers, tokens: Tokens
    ) -> Iterator[Call]:
        """Add the attention of the normed rows to the residual stream."""
        buffers = self._buffers
        linears = [attention.query, attention.key, attention.value]
        normed = panels(
            buffers.d_normed,
            num_rows=buffers.num_tokens,
            num_columns=attention.query.weight.shape[-1],
        )
        yield self._matmul.stack(linears, normed, buffers.d_qkv, tokens)
        pages = self._pages(attention, layer_index, chunk)
        yield self._rope(attention, pages, chunk, tokens)
        yield self._attention(attention, pages, chunk, tokens)
        yield self._matmul.add(attention.output, self._mixed(attention), buffers.d_x, tokens)

    def _rope(self, attention: Attention, pages: KvPages, chunk: ChunkPointers, tokens: Tokens) -> Call:
        num_heads = attention.num_heads + 2 * attention.num_kv_heads
        return Call(
            KernelSource("prefill_rope.cu", "rope"),
            grid=(tokens.most, -(-num_heads // _ROPE_HEADS)),
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
                c_uint64(tokens.d_count),
            ),
        )

    def _attention(self, attention: Attention, pages: KvPages, chunk: ChunkPointers, tokens: Tokens) -> Call:
        return Call(
            KernelSource("prefill_attention.cu", kernel_name("attention", attention.head_dim)),
            grid=(-(-tokens.most // _QUERIES), attention.num_heads),
            num_threads=_ATTENTION_THREADS,
            args=(
                c_uint64(self._buffers.d_queries),
                pages,
                c_uint64(chunk.d_positions),
                c_uint64(tokens.d_count),
                c_int32(attention.num_heads),
                c_int32(attention.window or 0),
                vector(self._weights, attention.sinks),
                self._mixed(attention),
            ),
            shared_bytes=attention_shared_bytes(attention.head_dim),
        )

    def _mixed(self, attention: Attention) -> PanelsArgs:
        num_columns = attention.num_heads * attention.head_dim
        return panels(self._buffers.d_mixed, num_rows=self._buffers.num_tokens, num_columns=num_columns)

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
