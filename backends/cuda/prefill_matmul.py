"""The launches of matrix products on the tensor cores: every weight matrix of a prompt goes through these."""

from collections.abc import Sequence
from ctypes import c_float, c_int32, c_uint64
from dataclasses import dataclass

from backends.cuda.call import Argument, Call, kernel_name
from backends.cuda.compiler import KernelSource
from backends.cuda.decode_args import Vector
from backends.cuda.matvec_calls import Weights
from backends.cuda.panels import padded
from backends.cuda.prefill_args import ExpertListsArgs, LinearArgs, LinearStackArgs, PanelsArgs
from backends.cuda.prefill_tile import Tile, choose_tile
from ports.model_description import ExpertLinear, Experts, Linear
from ports.model_file import TensorInfo
from ports.tensor_types import TensorType

_MOST_STACKED = 3


@dataclass(frozen=True, slots=True)
class Tokens:
    """Of a chunk."""

    most: int  # that the launch serves
    d_count: int  # [1] int32: how many there are


@dataclass(frozen=True, slots=True)
class ExpertPairs:
    """The (token, slot) pairs of each expert, as `sort_pairs` wrote them."""

    lists: ExpertListsArgs
    most_tokens: int  # of an expert at most
    num_active: int


def matmul_source(kernel: str, types: Sequence[TensorType], tile: Tile) -> KernelSource:
    """Of a kernel for matrices of these types."""
    file = "prefill_expert_matmul.cu" if kernel.startswith("expert") else "prefill_matmul.cu"
    return KernelSource(file, kernel_name(kernel, *types, tile.source))


def vector(weights: Weights, tensor: TensorInfo | None, *, first_element: int = 0) -> Vector:
    """A one-dimensional tensor from an element on; none where the model has none."""
    if tensor is None:
        return Vector()
    return Vector(weights.address(tensor, first_element=first_element), tensor.type)


class MatmulCalls:
    """Makes launches.

    Args:
        weights: where the tensors lie.
        num_multiprocessors, max_shared_bytes: of the device.
    """

    def __init__(self, weights: Weights, *, num_multiprocessors: int, max_shared_bytes: int) -> None:
        self._weights = weights
        self._num_multiprocessors = num_multiprocessors
        self._max_shared_bytes = max_shared_bytes

    def stack(self, linears: Sequence[Linear], x: PanelsArgs, d_y: int, tokens: Tokens) -> Call:
        """The products of up to three matrices, biases added, beside each other.

        Args:
            linears: [N, K] each.
            x: [T, K].
            d_y: [T, sum of N] float32.
            tokens: T.
        """
        row_counts = [len(linear.rows) for linear in linears]
        types = [linear.weight.type for linear in linears]
        types += [types[0]] * (_MOST_STACKED - len(types))
        tile = self._tile(tokens.most, row_counts)
        stack = LinearStackArgs((LinearArgs * _MOST_STACKED)(*map(self._linear, linears)))
        args = (x, stack, c_uint64(d_y), c_int32(sum(row_counts)), c_uint64(tokens.d_count))
        return _call(matmul_source("stack_product", types, tile), tile, tokens.most, row_counts, args)

    def add(self, linear: Linear, x: PanelsArgs, d_y: int, tokens: Tokens) -> Call:
        """Add weight @ x + bias to y, [T, N] float32."""
        num_rows, types = len(linear.rows), [linear.weight.type]
        tile = self._tile(tokens.most, [num_rows])
        args = (x, self._linear(linear), c_uint64(d_y), c_int32(num_rows), c_uint64(tokens.d_count))
        source = matmul_source("add_product", types, tile)
        return _call(source, tile, tokens.most, [num_rows], args)

    def swiglu(self, gate: Linear, up: Linear, x: PanelsArgs, y: PanelsArgs, tokens: Tokens) -> Call:
        """y = swiglu(gate @ x, up @ x), [T, N]."""
        num_rows, types = 2 * padded(y.num_columns), [gate.weight.type, up.weight.type]
        tile = self._tile(tokens.most, [num_rows])
        args = (x, self._linear(gate), self._linear(up), y, c_uint64(tokens.d_count))
        source = matmul_source("swiglu_product", types, tile)
        return _call(source, tile, tokens.most, [num_rows], args)

    def gelu(self, linear: Linear, x: PanelsArgs, y: PanelsArgs, tokens: Tokens) -> Call:
        """y = gelu(weight @ x), [T, N]."""
        num_rows, types = padded(y.num_columns), [linear.weight.type]
        tile = self._tile(tokens.most, [num_rows])
        args = (x, self._linear(linear), y, c_uint64(tokens.d_count))
        source = matmul_source("gelu_product", types, tile)
        return _call(source, tile, tokens.most, [num_rows], args)

    def expert_swiglu(self, experts: Experts, x: PanelsArgs, y: PanelsArgs, pairs: ExpertPairs) -> Call:
        """The inside of the expert of each pair.

        Args:
            experts: whose gate and up are [E, N, K].
            x: [sorted pairs, K].
            y: [sorted pairs, N].
            pairs: who chose whom.
        """
        num_rows, types = 2 * padded(y.num_columns), [experts.gate.weight.type, experts.up.weight.type]
        tile = self._expert_tile(pairs, experts.num_experts, num_rows)
        args = (
            x,
            self._expert_linear(experts.gate),
            self._expert_linear(experts.up),
            c_float(experts.activation.alpha),
            c_float(experts.activation.limit),
            y,
            pairs.lists,
        )
        source = matmul_source("expert_swiglu_product", types, tile)
        return _call(source, tile, pairs.most_tokens, [num_rows], args, num_experts=experts.num_experts)

    def expert(self, linear: ExpertLinear, x: PanelsArgs, d_y: int, pairs: ExpertPairs) -> Call:
        """weight[e] @ x + bias[e] of each pair that chose e: x [sorted pairs, K], y [P, N] float32."""
        num_experts, num_rows, _ = linear.weight.shape
        types = [linear.weight.type]
        tile = self._expert_tile(pairs, num_experts, num_rows)
        args = (x, self._expert_linear(linear), c_uint64(d_y), c_int32(num_rows), pairs.lists)
        source = matmul_source("expert_product", types, tile)
        return _call(source, tile, pairs.most_tokens, [num_rows], args, num_experts=num_experts)

    def _tile(self, num_tokens: int, row_counts: Sequence[int]) -> Tile:
        return choose_tile(
            num_tokens=num_tokens,
            row_counts=tuple(row_counts),
            num_multiprocessors=self._num_multiprocessors,
            max_shared_bytes=self._max_shared_bytes,
        )

    def _expert_tile(self, pairs: ExpertPairs, num_experts: int, num_rows: int) -> Tile:
        """For the tokens that an expert gets on average."""
        num_tokens = -(-pairs.most_tokens * pairs.num_active // num_experts)
        return self._tile(num_tokens, [num_rows] * num_experts)

    def _linear(self, linear: Linear) -> LinearArgs:
        first_row = linear.rows.start
        return LinearArgs(
            self._weights.matrix(linear.weight, first_row=first_row),
            len(linear.rows),
            vector(self._weights, linear.bias, first_element=first_row),
        )

    def _expert_linear(self, linear: ExpertLinear) -> LinearArgs:
        return LinearArgs(
            self._weights.matrix(linear.weight), linear.weight.shape[1], vector(self._weights, linear.bias)
        )


def _call(
    source: KernelSource,
    tile: Tile,
    most_tokens: int,
    row_counts: Sequence[int],
    args: tuple[Argument, ...],
    *,
    num_experts: int = 1,
) -> Call:
    grid = (-(-most_tokens // tile.tokens), tile.num_blocks(row_counts), num_experts)
    return Call(source, grid, tile.num_threads, (*args, c_int32(tile.row_tiles)), tile.shared_bytes)
