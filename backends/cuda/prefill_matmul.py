"""The launches of matrix products on the tensor cores: every weight matrix of a prompt goes through these."""

from ctypes import c_int32, c_uint64
from dataclasses import dataclass
from typing import NamedTuple

from backends.cuda.call import Call, kernel_name
from backends.cuda.compiler import KernelSource
from backends.cuda.decode_args import Vector
from backends.cuda.matvec_calls import Weights
from ports.model_description import ExpertLinear, Linear
from ports.model_file import TensorInfo
from ports.tensor_types import TensorType

_STEP = 64  # columns that a block multiplies at a time: rows of activations are padded to multiples of it


class Tile(NamedTuple):
    """What one block computes. A result does not depend on it."""

    tokens: int
    rows: int

    @property
    def num_threads(self) -> int:
        return 2 * self.rows

    @property
    def shared_bytes(self) -> int:
        return 2 * 2 * _STEP * (self.tokens + self.rows)


TILES = (Tile(128, 128), Tile(64, 64), Tile(16, 64))


@dataclass(frozen=True, slots=True)
class ExpertPairs:
    """The (token, slot) pairs of each expert, as `list_pairs` wrote them."""

    d_counts: int  # [E]
    d_pairs: int  # [E, capacity]
    num_tokens: int  # the capacity
    num_active: int


def padded(num_columns: int) -> int:
    """How far apart rows of activations with so many columns lie; in between they are zero."""
    return -(-num_columns // _STEP) * _STEP


def choose_tile(*, num_tokens: int, num_rows: int, num_multiprocessors: int) -> Tile:
    """The largest tile that is not half empty and gives at least every other multiprocessor a block."""
    for tile in TILES[:-1]:
        num_blocks = -(-num_tokens // tile.tokens) * -(-num_rows // tile.rows)
        if 2 * num_tokens > tile.tokens and 2 * num_blocks >= num_multiprocessors:
            return tile
    return TILES[-1]


def matmul_source(tensor_type: TensorType, tile: Tile) -> KernelSource:
    return KernelSource("prefill_matmul.cu", kernel_name("matmul", tensor_type, *tile))


def expert_matmul_source(tensor_type: TensorType, tile: Tile) -> KernelSource:
    return KernelSource("prefill_expert_matmul.cu", kernel_name("expert_matmul", tensor_type, *tile))


def vector(weights: Weights, tensor: TensorInfo | None, *, first_element: int = 0) -> Vector:
    """A one-dimensional tensor from an element on; none where the model has none."""
    if tensor is None:
        return Vector()
    return Vector(weights.address(tensor, first_element=first_element), tensor.type)


class MatmulCalls:
    """Makes launches.

    Args:
        weights: where the tensors lie.
        num_multiprocessors: of the device.
    """

    def __init__(self, weights: Weights, *, num_multiprocessors: int) -> None:
        self._weights = weights
        self._num_multiprocessors = num_multiprocessors

    def product(
        self, linear: Linear, d_x: int, d_y: int, *, num_tokens: int, y_stride: int, adds: bool = False
    ) -> Call:
        """y = weight @ x + bias of every token, or y += that.

        Args:
            linear: [N, K].
            d_x: [num_tokens, padded(K)] bfloat16.
            d_y: the first of N columns of [num_tokens, y_stride] float32.
            num_tokens: of the chunk.
            y_stride: floats from a token to the next.
            adds: to what is there.
        """
        first_row, num_rows = linear.rows.start, len(linear.rows)
        tile = choose_tile(
            num_tokens=num_tokens, num_rows=num_rows, num_multiprocessors=self._num_multiprocessors
        )
        return Call(
            matmul_source(linear.weight.type, tile),
            grid=(-(-num_tokens // tile.tokens), -(-num_rows // tile.rows)),
            num_threads=tile.num_threads,
            args=(
                c_uint64(d_x),
                c_int32(padded(linear.weight.shape[-1])),
                self._weights.matrix(linear.weight, first_row=first_row),
                vector(self._weights, linear.bias, first_element=first_row),
                c_uint64(d_y),
                c_int32(y_stride),
                c_int32(num_tokens),
                c_int32(num_rows),
                c_int32(adds),
            ),
            shared_bytes=tile.shared_bytes,
        )

    def expert_product(
        self,
        linear: ExpertLinear,
        d_x: int,
        d_y: int,
        pairs: ExpertPairs,
        *,
        y_stride: int,
        x_is_of_pairs: bool,
    ) -> Call:
        """y = weight[e] @ x + bias[e] of every pair that chose e.

        Args:
            linear: [E, N, K].
            d_x: [pairs, padded(K)] bfloat16, or one row a token.
            d_y: the first of N columns of [pairs, y_stride] float32.
            pairs: who chose whom.
            y_stride: floats from a pair to the next.
            x_is_of_pairs: whether x has a row for each pair.
        """
        num_experts, num_rows, num_columns = linear.weight.shape
        tile = choose_tile(
            num_tokens=-(-pairs.num_tokens * pairs.num_active // num_experts),  # of an expert, on average
            num_rows=num_experts * num_rows,
            num_multiprocessors=self._num_multiprocessors,
        )
        return Call(
            expert_matmul_source(linear.weight.type, tile),
            grid=(-(-pairs.num_tokens // tile.tokens), -(-num_rows // tile.rows), num_experts),
            num_threads=tile.num_threads,
            args=(
                c_uint64(d_x),
                c_int32(padded(num_columns)),
                self._weights.matrix(linear.weight),
                vector(self._weights, linear.bias),
                c_uint64(d_y),
                c_int32(y_stride),
                c_int32(num_rows),
                c_uint64(pairs.d_counts),
                c_uint64(pairs.d_pairs),
                c_int32(pairs.num_tokens),
                c_int32(1 if x_is_of_pairs else pairs.num_active),
            ),
            shared_bytes=tile.shared_bytes,
        )
