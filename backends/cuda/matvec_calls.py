"""The launches of matrix-vector products: every weight matrix of a decode step goes through these.

Letters: H = hidden_size, F = intermediate_size.
"""

from ctypes import c_float, c_uint64
from typing import Protocol

from backends.cuda.call import Call, kernel_name
from backends.cuda.compiler import KernelSource
from backends.cuda.decode_args import ExpertMatrix, Input, Rows, Stack, Vector
from backends.cuda.geometry import (
    WARPS,
    RowGeometry,
    experts_down_geometry,
    experts_inside_geometry,
    inside_geometry,
    project_geometry,
    router_geometry,
    rows_geometry,
)
from backends.cuda.matvec_ring import input_bytes_of, ring_of
from backends.cuda.packed import DENSE_TYPES, PackedMatrix
from backends.cuda.weight_ring import most_rows, num_turns
from ports.model_description import ExpertLinear, Experts, LayerNorm, Linear, Norm
from ports.model_file import TensorInfo
from ports.tensor_types import TensorType


class Weights(Protocol):
    """Where the tensors lie on the device."""

    def matrix(self, tensor: TensorInfo, *, first_row: int = 0) -> PackedMatrix:
        """Rows of a tensor from `first_row` on; all dimensions but the last are rows."""
        ...

    def address(self, tensor: TensorInfo, *, first_element: int = 0) -> int:
        """Of a dense tensor's element."""
        ...


class MatvecCalls:
    """Makes launches.

    Args:
        weights: where the tensors lie.
        num_multiprocessors: of the device.
    """

    def __init__(self, weights: Weights, *, num_multiprocessors: int) -> None:
        self._weights = weights
        self._num_multiprocessors = num_multiprocessors

    def rows(self, norm: Norm, linears: list[Linear], d_x: int, d_out: int) -> Call:
        """Up to three matrices with one input, normed. What is missing is the first's type, without rows."""
        num_columns = linears[0].weight.shape[-1]
        types = [linear.weight.type for linear in linears]
        types += [types[0]] * (3 - len(types))
        num_rows = sum(len(linear.rows) for linear in linears)
        if num_rows <= self._num_multiprocessors:
            turns_alone = max(num_turns(type_, num_columns) for type_ in types)
            geometry = router_geometry(num_rows, num_turns=turns_alone)
        else:
            geometry = self._rows_geometry(types, num_rows, num_columns)
        turns = max(num_turns(type_, num_columns, geometry.parts) for type_ in types)
        ring = ring_of(types, num_rows, num_columns, turns, geometry)
        name = kernel_name(
            "decode_rows",
            _source_name(norm),
            num_columns,
            *types,
            geometry.rows,
            geometry.parts,
            geometry.num_warps,
            ring.num_stages,
        )
        stack = Stack((Rows * 3)(*(self._rows_of(linear) for linear in linears)))
        return Call(
            KernelSource("decode_rows.cu", name),
            grid=(geometry.num_blocks, 1),
            num_threads=32 * geometry.num_warps,
            args=(self._input(norm, d_x), stack, c_uint64(d_out)),
            shared_bytes=ring.shared_bytes,
        )

    def project(self, linear: Linear, d_input: int, d_x: int, *, is_int8: bool) -> Call:
        """Add the product with `d_input`, floats or int8 blocks, to the residual stream `d_x`."""
        num_columns, weight_type = linear.weight.shape[-1], linear.weight.type
        num_rows = len(linear.rows)
        geometry = project_geometry(
            num_rows,
            num_turns=num_turns(weight_type, num_columns),
            num_multiprocessors=self._num_multiprocessors,
        )
        turns = num_turns(weight_type, num_columns, geometry.parts)
        ring = ring_of([weight_type], num_rows, num_columns, turns, geometry)
        name = kernel_name(
            "decode_project",
            "INT8_BLOCKS" if is_int8 else "FLOATS",
            num_columns,
            weight_type,
            geometry.rows,
            geometry.parts,
            geometry.num_warps,
            ring.num_stages,
        )
        return Call(
            KernelSource("decode_project.cu", name),
            grid=(geometry.num_blocks, 1),
            num_threads=32 * geometry.num_warps,
            args=(Input(d_x=d_input), self._rows_of(linear), c_uint64(d_x)),
            shared_bytes=ring.shared_bytes,
        )

    def swiglu(self, norm: Norm, gate: Linear, up: Linear, d_x: int, d_inside: int, *, as_int8: bool) -> Call:
        """[F] silu(gate @ x) * (up @ x), x normed; written as floats or as int8 blocks."""
        return self._inside("decode_swiglu", norm, [gate, up], d_x, d_inside, as_int8=as_int8)

    def gelu(self, norm: Norm, up: Linear, d_x: int, d_inside: int, *, as_int8: bool) -> Call:
        """[F] gelu(up @ x), x normed; likewise."""
        return self._inside("decode_gelu", norm, [up], d_x, d_inside, as_int8=as_int8)

    def experts_inside(self, norm: Norm, experts: Experts, d_x: int, d_router: int, d_inside: int) -> Call:
        """[active, F] the inside of the experts that the logits at `d_router` choose, x normed.

        As int8 blocks where `is_read_as_int8` says so of `down`.
        """
        hidden_size, num_active = experts.gate.weight.shape[-1], experts.num_active
        types = [experts.gate.weight.type, experts.up.weight.type]
        as_int8 = is_read_as_int8(experts.down.weight)
        num_rows = num_active * experts.intermediate_size
        turns = sum(num_turns(type_, hidden_size) for type_ in types)
        geometry = experts_inside_geometry(num_rows, num_multiprocessors=self._num_multiprocessors)
        ring = ring_of(types, num_rows, hidden_size, turns, geometry)
        name = kernel_name(
            "decode_experts_inside",
            _source_name(norm),
            hidden_size,
            *types,
            experts.num_experts,
            num_active,
            geometry.rows,
            _flag(as_int8),
            geometry.num_warps,
            ring.num_stages,
        )
        return Call(
            KernelSource("decode_experts.cu", name),
            grid=(geometry.num_blocks, 1),
            num_threads=32 * geometry.num_warps,
            args=(
                self._input(norm, d_x),
                c_uint64(d_router),
                self._expert_matrix(experts.gate),
                self._expert_matrix(experts.up),
                c_float(experts.activation.alpha),
                c_float(experts.activation.limit),
                c_uint64(d_inside),
            ),
            shared_bytes=ring.shared_bytes,
        )

    def experts_down(self, experts: Experts, d_inside: int, d_router: int, d_x: int) -> Call:
        """Add what the chosen experts give, each by its share, to the residual stream `d_x`."""
        size, num_active = experts.intermediate_size, experts.num_active
        down_type, hidden_size = experts.down.weight.type, experts.down.weight.shape[1]
        geometry = experts_down_geometry(
            hidden_size, num_active, num_multiprocessors=self._num_multiprocessors
        )
        turns = num_turns(down_type, size)
        ring = ring_of([down_type], hidden_size, size, turns, geometry, num_inputs=num_active)
        name = kernel_name(
            "decode_experts_down",
            "INT8_BLOCKS" if is_read_as_int8(experts.down.weight) else "FLOATS",
            size,
            down_type,
            experts.num_experts,
            num_active,
            geometry.rows,
            geometry.num_warps // num_active,
            ring.num_stages,
        )
        return Call(
            KernelSource("decode_experts.cu", name),
            grid=(geometry.num_blocks, 1),
            num_threads=32 * geometry.num_warps,
            args=(
                c_uint64(d_inside),
                c_uint64(d_router),
                self._expert_matrix(experts.down),
                c_uint64(d_x),
            ),
            shared_bytes=ring.shared_bytes,
        )

    def vector(self, tensor: TensorInfo | None, *, first_element: int = 0) -> Vector:
        """A norm's weight, a bias; null where there is none."""
        if tensor is None:
            return Vector(0, TensorType.F32)
        return Vector(self._weights.address(tensor, first_element=first_element), tensor.type)

    def _inside(
        self, kernel: str, norm: Norm, linears: list[Linear], d_x: int, d_inside: int, *, as_int8: bool
    ) -> Call:
        num_columns = linears[0].weight.shape[-1]
        types = [linear.weight.type for linear in linears]
        num_rows = len(linears[0].rows)
        if as_int8:
            geometry = inside_geometry(
                num_rows,
                num_turns=max(num_turns(type_, num_columns) for type_ in types),
                num_multiprocessors=self._num_multiprocessors,
            )
        else:
            geometry = self._rows_geometry(types, num_rows, num_columns)
        turns = sum(num_turns(type_, num_columns) for type_ in types)
        ring = ring_of(types, num_rows, num_columns, turns, geometry)
        name = kernel_name(
            kernel,
            _source_name(norm),
            num_columns,
            *types,
            geometry.rows,
            _flag(as_int8),
            geometry.num_warps,
            ring.num_stages,
        )
        return Call(
            KernelSource("decode_feed_forward.cu", name),
            grid=(geometry.num_blocks, 1),
            num_threads=32 * geometry.num_warps,
            args=(
                self._input(norm, d_x),
                *(self._rows_of(linear) for linear in linears),
                c_uint64(d_inside),
            ),
            shared_bytes=ring.shared_bytes,
        )

    def _rows_geometry(self, types: list[TensorType], num_rows: int, num_columns: int) -> RowGeometry:
        return rows_geometry(
            num_rows,
            num_columns,
            num_multiprocessors=self._num_multiprocessors,
            most_rows=most_rows(
                types, num_columns, num_warps=WARPS, input_bytes=input_bytes_of(num_columns, types)
            ),
        )

    def _input(self, norm: Norm, d_x: int) -> Input:
        bias = norm.bias if isinstance(norm, LayerNorm) else None
        return Input(d_x, self.vector(norm.weight), self.vector(bias), norm.eps)

    def _rows_of(self, linear: Linear) -> Rows:
        start = linear.rows.start
        return Rows(
            self._weights.matrix(linear.weight, first_row=start),
            len(linear.rows),
            self.vector(linear.bias, first_element=start),
        )

    def _expert_matrix(self, linear: ExpertLinear) -> ExpertMatrix:
        return ExpertMatrix(
            self._weights.matrix(linear.weight), self.vector(linear.bias), linear.weight.shape[1]
        )


def is_read_as_int8(weight: TensorInfo) -> bool:
    """Whether what is multiplied with `weight` is best written as int8 blocks by the kernel that makes it."""
    return weight.type not in DENSE_TYPES and weight.shape[-1] % 32 == 0


def _source_name(norm: Norm) -> str:
    """Of `enum Source` in decode_input.cuh."""
    return "LAYER_NORM" if isinstance(norm, LayerNorm) else "RMS_NORM"


def _flag(value: bool) -> str:
    return "true" if value else "false"
