"""Random tensors on the device, and what they are in float64."""

from math import prod

import numpy as np
from gguf import GGMLQuantizationType
from gguf.quants import dequantize
from numpy.typing import NDArray

from backends.cuda.call import Call
from backends.cuda.packed import PackedMatrix, packed_matrix
from backends.cuda.prefill_matmul import MatmulCalls
from ports.model_description import ExpertLinear, Linear
from ports.model_file import TensorInfo
from ports.tensor_types import TensorType
from tests.backends.cuda.packed_reference import pack
from tests.kernels.gpu import Gpu
from tests.models.random_blocks import random_tensor

Doubles = NDArray[np.float64]


class RandomWeights:
    """Implements `matvec_calls.Weights`; `values` holds the tensors by name."""

    def __init__(self, gpu: Gpu, seed: int) -> None:
        self._gpu = gpu
        self._rng = np.random.default_rng(seed)
        self._d_tensors: dict[str, int] = {}
        self.values: dict[str, Doubles] = {}

    def tensor(
        self, shape: tuple[int, ...], tensor_type: TensorType = TensorType.F32, stored: bytes | None = None
    ) -> TensorInfo:
        """A new tensor, random unless its bytes are given; a vector is near 1, as norms are."""
        if stored is None:
            stored = random_tensor(shape, tensor_type, self._rng)
            if len(shape) == 1:
                stored = (1 + self._rng.standard_normal(shape) / 8).astype(np.float32).tobytes()
        rows, cols = prod(shape[:-1]), shape[-1]
        name = f"tensor {len(self.values)}"
        raw = np.frombuffer(stored, np.uint8).reshape(rows, -1)
        floats = dequantize(raw, GGMLQuantizationType(tensor_type))
        self.values[name] = floats.astype(np.float64).reshape(shape)
        packed = pack(tensor_type, stored, rows=rows, cols=cols)
        self._d_tensors[name] = self._gpu.upload(np.frombuffer(packed, np.uint8))
        return TensorInfo(name, shape, tensor_type, 0, len(stored))

    def linear(self, rows: int, cols: int, tensor_type: TensorType, *, has_bias: bool = True) -> Linear:
        bias = self.tensor((rows,)) if has_bias else None
        return Linear(self.tensor((rows, cols), tensor_type), bias)

    def expert_linear(self, experts: int, rows: int, cols: int, tensor_type: TensorType) -> ExpertLinear:
        return ExpertLinear(self.tensor((experts, rows, cols), tensor_type), self.tensor((experts, rows)))

    def apply(self, linear: Linear, x: Doubles) -> Doubles:
        """y = weight @ x + bias."""
        rows = slice(linear.rows.start, linear.rows.stop)
        y: Doubles = self.values[linear.weight.name][rows] @ x
        return y if linear.bias is None else y + self.values[linear.bias.name][rows]

    def matrix(self, tensor: TensorInfo, *, first_row: int = 0) -> PackedMatrix:
        return packed_matrix(
            self._d_tensors[tensor.name],
            tensor.type,
            rows=prod(tensor.shape[:-1]),
            cols=tensor.shape[-1],
            first_row=first_row,
        )

    def address(self, tensor: TensorInfo, *, first_element: int = 0) -> int:
        return self._d_tensors[tensor.name] + first_element * tensor.type.block.size_bytes


def matmul_calls(gpu: Gpu, weights: RandomWeights) -> MatmulCalls:
    """As for a device of 132 multiprocessors, whatever this one has."""
    return MatmulCalls(
        weights, num_multiprocessors=132, max_shared_bytes=gpu.context.properties.max_shared_bytes
    )


def run(gpu: Gpu, call: Call) -> None:
    """Launch it once and wait for it."""
    gpu.launch(
        call.source.file,
        call.source.name,
        call.grid,
        call.num_threads,
        call.args,
        shared_bytes=call.shared_bytes,
        overlaps=not call.is_cooperative,
        cooperative=call.is_cooperative,
    )


def nmse(result: NDArray[np.float32], expected: Doubles) -> float:
    """||result - expected||^2 / ||expected||^2; NaN where anything was not written."""
    return float(np.sum((result - expected) ** 2) / np.sum(expected**2))


def to_int8_blocks(x: Doubles) -> NDArray[np.uint8]:
    """A vector as int8_blocks.cuh has it: planes of elements 0..15 and 16..31, then scales and sums."""
    blocks = x.reshape(-1, 32)
    scales = np.abs(blocks).max(axis=1) / 127
    quants = np.rint(blocks / scales[:, None]).astype(np.int8)
    scale_sums = np.stack([scales, scales * quants.sum(axis=1)], axis=1).astype(np.float32)
    planes = [quants[:, :16], quants[:, 16:], scale_sums]
    return np.concatenate([np.ascontiguousarray(plane).view(np.uint8).ravel() for plane in planes])


def from_int8_blocks(stored: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The vector that int8 blocks stand for; NaN where a sum is not that of its block."""
    num_blocks = len(stored) // 40
    quants = stored[: 32 * num_blocks].view(np.int8).reshape(2, num_blocks, 16).transpose(1, 0, 2)
    scale_sums = stored[32 * num_blocks :].view(np.float32).reshape(num_blocks, 2)
    values = quants.reshape(num_blocks, 32) * scale_sums[:, :1]
    is_sum = np.isclose(values.sum(axis=1), scale_sums[:, 1], rtol=1e-4, atol=1e-4)
    return np.where(is_sum[:, None], values, np.nan).ravel().astype(np.float32)


def rms_norm(x: Doubles, weight: Doubles, eps: float) -> Doubles:
    normed: Doubles = x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + eps) * weight
    return normed


def layer_norm(x: Doubles, weight: Doubles, bias: Doubles, eps: float) -> Doubles:
    centred = x - x.mean()
    normed: Doubles = centred / np.sqrt(np.mean(centred**2) + eps) * weight + bias
    return normed
