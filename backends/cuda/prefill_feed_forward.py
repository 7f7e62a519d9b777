"""The launches of a feed-forward over a chunk."""

from collections.abc import Iterator
from ctypes import c_int32, c_uint64

from backends.cuda.call import Call, kernel_name
from backends.cuda.compiler import KernelSource
from backends.cuda.matvec_calls import Weights
from backends.cuda.panels import panels
from backends.cuda.prefill_args import ExpertListsArgs, PanelsArgs
from backends.cuda.prefill_buffers import PrefillBuffers, sorted_rows
from backends.cuda.prefill_matmul import ExpertPairs, MatmulCalls, Tokens, vector
from ports.model_description import Experts, FeedForward, Gelu, SwiGlu

_THREADS = 256
_ROUTE_THREADS = 1024
_ROUTED_TOKENS = 2  # of a block


class FeedForwardCalls:
    """Makes launches. See `PrefillCalls`."""

    def __init__(self, weights: Weights, matmul: MatmulCalls, buffers: PrefillBuffers) -> None:
        self._weights = weights
        self._matmul = matmul
        self._buffers = buffers

    def feed(self, feed_forward: FeedForward, hidden_size: int, tokens: Tokens) -> Iterator[Call]:
        """Add the feed-forward of the normed rows to the residual stream."""
        buffers, matmul = self._buffers, self._matmul
        if isinstance(feed_forward, Experts):
            yield from self._experts(feed_forward, hidden_size, tokens)
            return
        normed = panels(buffers.d_normed, num_rows=buffers.num_tokens, num_columns=hidden_size)
        size = feed_forward.intermediate_size
        inside = panels(buffers.d_inside, num_rows=buffers.num_tokens, num_columns=size)
        match feed_forward:
            case SwiGlu():
                yield matmul.swiglu(feed_forward.gate, feed_forward.up, normed, inside, tokens)
            case Gelu():
                yield matmul.gelu(feed_forward.up, normed, inside, tokens)
        yield matmul.add(feed_forward.down, inside, buffers.d_x, tokens)

    def _experts(self, experts: Experts, hidden_size: int, tokens: Tokens) -> Iterator[Call]:
        buffers, size = self._buffers, experts.intermediate_size
        lists = ExpertListsArgs(buffers.d_counts, buffers.d_starts, buffers.d_pairs)
        pairs = ExpertPairs(lists, tokens.most, experts.num_active)
        num_rows = sorted_rows(experts, buffers.num_tokens)
        normed = panels(buffers.d_normed, num_rows=buffers.num_tokens, num_columns=hidden_size)
        sorted_panels = panels(buffers.d_sorted, num_rows=num_rows, num_columns=hidden_size)
        inside = panels(buffers.d_inside, num_rows=num_rows, num_columns=size)
        yield self._route(experts, tokens)
        yield self._sort_pairs(experts, normed, sorted_panels, lists, tokens)
        yield self._matmul.expert_swiglu(experts, sorted_panels, inside, pairs)
        yield self._matmul.expert(experts.down, inside, buffers.d_given, pairs)
        yield self._combine(experts, hidden_size, tokens)

    def _route(self, experts: Experts, tokens: Tokens) -> Call:
        router = experts.router
        return Call(
            KernelSource("prefill_route.cu", kernel_name("route", router.weight.type)),
            grid=(-(-tokens.most // _ROUTED_TOKENS),),
            num_threads=_ROUTE_THREADS,
            args=(
                c_uint64(self._buffers.d_normed_exact),
                self._weights.matrix(router.weight, first_row=router.rows.start),
                vector(self._weights, router.bias, first_element=router.rows.start),
                c_uint64(self._buffers.d_chosen),
                c_uint64(self._buffers.d_shares),
                c_uint64(tokens.d_count),
                c_int32(experts.num_experts),
                c_int32(experts.num_active),
            ),
            shared_bytes=4 * _ROUTED_TOKENS * (experts.num_experts + experts.num_active),
        )

    def _sort_pairs(
        self,
        experts: Experts,
        normed: PanelsArgs,
        sorted_panels: PanelsArgs,
        lists: ExpertListsArgs,
        tokens: Tokens,
    ) -> Call:
        return Call(
            KernelSource("prefill_experts.cu", "sort_pairs"),
            grid=(tokens.most * experts.num_active,),
            num_threads=_THREADS,
            args=(
                normed,
                sorted_panels,
                c_uint64(self._buffers.d_chosen),
                c_uint64(tokens.d_count),
                c_int32(experts.num_active),
                c_int32(experts.num_experts),
                lists,
            ),
            shared_bytes=4 * experts.num_experts,
        )

    def _combine(self, experts: Experts, hidden_size: int, tokens: Tokens) -> Call:
        return Call(
            KernelSource("prefill_experts.cu", "combine"),
            grid=(-(-hidden_size // _THREADS), tokens.most),
            num_threads=_THREADS,
            args=(
                c_uint64(self._buffers.d_given),
                c_uint64(self._buffers.d_shares),
                c_uint64(self._buffers.d_x),
                c_int32(hidden_size),
                c_int32(experts.num_active),
                c_uint64(tokens.d_count),
            ),
        )
