"""The launches of a feed-forward over a chunk."""

from collections.abc import Iterator
from ctypes import c_float, c_int32, c_uint64

from backends.cuda.call import Argument, Call, kernel_name
from backends.cuda.compiler import KernelSource
from backends.cuda.matvec_calls import Weights
from backends.cuda.prefill_buffers import PrefillBuffers
from backends.cuda.prefill_matmul import ExpertPairs, MatmulCalls, padded, vector
from ports.model_description import Experts, FeedForward, Gelu, Linear, SwiGlu

_THREADS = 256
_ROUTED_TOKENS = 4  # of a block


class FeedForwardCalls:
    """Makes launches. See `PrefillCalls`."""

    def __init__(self, weights: Weights, matmul: MatmulCalls, buffers: PrefillBuffers) -> None:
        self._weights = weights
        self._matmul = matmul
        self._buffers = buffers

    def feed(self, feed_forward: FeedForward, hidden_size: int, num_tokens: int) -> Iterator[Call]:
        """Add the feed-forward of the normed rows to the residual stream."""
        match feed_forward:
            case SwiGlu():
                yield from self._wide([feed_forward.gate, feed_forward.up], num_tokens)
                yield self._activation("swiglu_rows", feed_forward.intermediate_size, num_tokens)
                yield self._down(feed_forward.down, num_tokens)
            case Gelu():
                yield from self._wide([feed_forward.up], num_tokens)
                yield self._activation("gelu_rows", feed_forward.intermediate_size, num_tokens)
                yield self._down(feed_forward.down, num_tokens)
            case Experts():
                yield from self._experts(feed_forward, hidden_size, num_tokens)

    def _wide(self, linears: list[Linear], num_tokens: int) -> Iterator[Call]:
        """The products of the matrices, side by side."""
        y_stride, d_y = sum(len(linear.rows) for linear in linears), self._buffers.d_wide
        for linear in linears:
            yield self._matmul.product(
                linear, self._buffers.d_normed, d_y, num_tokens=num_tokens, y_stride=y_stride
            )
            d_y += 4 * len(linear.rows)

    def _activation(self, name: str, size: int, num_rows: int, *more: Argument) -> Call:
        y_stride = padded(size)
        buffers = self._buffers
        return Call(
            KernelSource("prefill_activation.cu", name),
            grid=(-(-y_stride // _THREADS), num_rows),
            num_threads=_THREADS,
            args=(
                c_uint64(buffers.d_wide),
                c_uint64(buffers.d_inside),
                c_int32(y_stride),
                c_int32(size),
                *more,
            ),
        )

    def _down(self, linear: Linear, num_tokens: int) -> Call:
        return self._matmul.product(
            linear,
            self._buffers.d_inside,
            self._buffers.d_x,
            num_tokens=num_tokens,
            y_stride=len(linear.rows),
            adds=True,
        )

    def _experts(self, experts: Experts, hidden_size: int, num_tokens: int) -> Iterator[Call]:
        buffers, size, product = self._buffers, experts.intermediate_size, self._matmul.expert_product
        pairs = ExpertPairs(buffers.d_counts, buffers.d_pairs, num_tokens, experts.num_active)
        yield self._route(experts, num_tokens)
        yield self._list_pairs(experts, num_tokens)
        for column, linear in ((0, experts.gate), (size, experts.up)):
            d_y = buffers.d_wide + 4 * column
            yield product(linear, buffers.d_normed, d_y, pairs, y_stride=2 * size, x_is_of_pairs=False)
        alpha, limit = c_float(experts.activation.alpha), c_float(experts.activation.limit)
        yield self._activation("clamped_swiglu_rows", size, num_tokens * experts.num_active, alpha, limit)
        yield product(
            experts.down, buffers.d_inside, buffers.d_wide, pairs, y_stride=hidden_size, x_is_of_pairs=True
        )
        yield self._combine(experts, hidden_size, num_tokens)

    def _route(self, experts: Experts, num_tokens: int) -> Call:
        router = experts.router
        return Call(
            KernelSource("prefill_route.cu", kernel_name("route", router.weight.type)),
            grid=(-(-num_tokens // _ROUTED_TOKENS),),
            num_threads=_THREADS,
            args=(
                c_uint64(self._buffers.d_normed_exact),
                self._weights.matrix(router.weight, first_row=router.rows.start),
                vector(self._weights, router.bias, first_element=router.rows.start),
                c_uint64(self._buffers.d_chosen),
                c_uint64(self._buffers.d_shares),
                c_int32(num_tokens),
                c_int32(experts.num_experts),
                c_int32(experts.num_active),
            ),
            shared_bytes=4 * _ROUTED_TOKENS * (experts.num_experts + experts.num_active),
        )

    def _list_pairs(self, experts: Experts, num_tokens: int) -> Call:
        return Call(
            KernelSource("prefill_experts.cu", "list_pairs"),
            grid=(experts.num_experts,),
            num_threads=_THREADS,
            args=(
                c_uint64(self._buffers.d_chosen),
                c_int32(num_tokens * experts.num_active),
                c_uint64(self._buffers.d_counts),
                c_uint64(self._buffers.d_pairs),
                c_int32(num_tokens),
            ),
        )

    def _combine(self, experts: Experts, hidden_size: int, num_tokens: int) -> Call:
        return Call(
            KernelSource("prefill_experts.cu", "combine"),
            grid=(-(-hidden_size // _THREADS), num_tokens),
            num_threads=_THREADS,
            args=(
                c_uint64(self._buffers.d_wide),
                c_uint64(self._buffers.d_shares),
                c_uint64(self._buffers.d_x),
                c_int32(hidden_size),
                c_int32(experts.num_active),
            ),
        )
