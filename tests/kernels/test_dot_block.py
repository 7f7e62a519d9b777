"""Int8 activations, and a sub-block of weights times them."""

from ctypes import c_int32
from dataclasses import dataclass

import numpy as np
import pytest
from gguf import GGMLQuantizationType
from gguf.quants import dequantize
from numpy.typing import NDArray

from backends.cuda.kernel import Argument, pointer
from backends.cuda.packed import DENSE_TYPES, packed_matrix
from ports.tensor_types import TensorType
from tests.backends.cuda.packed_reference import pack
from tests.kernels.gpu import Gpu
from tests.models.random_blocks import random_tensor

pytestmark = [pytest.mark.gpu, pytest.mark.req("M0-W-1201", "M0-W-1435")]

QUANTIZED_TYPES = [tensor_type for tensor_type in TensorType if tensor_type not in DENSE_TYPES]
ROWS = 37


def quantize(gpu: Gpu, x: NDArray[np.float32]) -> int:
    """Int8 blocks of `x` on the device."""
    num_blocks = len(x) // 32
    d_planes = gpu.empty(40 * num_blocks)
    args: list[Argument] = [pointer(gpu.upload(x)), c_int32(num_blocks), pointer(d_planes)]
    gpu.launch("dot_block.cu", "quantize_blocks", -(-num_blocks // 8), 32, args)
    return d_planes


def read_quantized(
    gpu: Gpu, d_planes: int, num_blocks: int
) -> tuple[NDArray[np.int8], NDArray[np.float32], NDArray[np.float32]]:
    """[B, 32] quants, [B] scales, [B] sums."""
    halves = gpu.download(d_planes, (2, num_blocks, 16), np.int8)
    scale_sum = gpu.download(d_planes + 32 * num_blocks, (num_blocks, 2), np.float32)
    return halves.transpose(1, 0, 2).reshape(num_blocks, 32), scale_sum[:, 0], scale_sum[:, 1]


@pytest.mark.parametrize("num_blocks", [1, 7, 8, 9, 90])
def test_activations_are_within_half_a_step(gpu: Gpu, num_blocks: int) -> None:
    x = np.random.default_rng(3).standard_normal(32 * num_blocks).astype(np.float32)

    quants, scales, sums = read_quantized(gpu, quantize(gpu, x), num_blocks)

    blocks = x.reshape(-1, 32).astype(np.float64)
    steps = scales.astype(np.float64)
    np.testing.assert_allclose(np.abs(blocks).max(axis=1) / 127, steps, rtol=1e-6)
    assert np.all(np.abs(blocks - steps[:, None] * quants) <= 0.5001 * steps[:, None])
    np.testing.assert_allclose(steps * quants.sum(axis=1, dtype=np.int64), sums, rtol=1e-6)


@pytest.mark.parametrize("value", [0.0, 1e-40])
def test_what_is_too_small_to_scale_counts_as_zero(gpu: Gpu, value: float) -> None:
    quants, scales, sums = read_quantized(gpu, quantize(gpu, np.full(32, value, np.float32)), 1)

    assert not quants.any()
    assert np.isfinite(scales).all()
    assert 0.0 == sums[0]


@dataclass(frozen=True)
class Weights:
    """A random matrix of `ROWS` rows, on the device."""

    gpu: Gpu
    type: TensorType
    stored: bytes

    @property
    def num_blocks(self) -> int:
        """Sub-blocks of a row."""
        block = self.type.block
        return len(self.stored) // block.size_bytes * block.num_elements // ROWS // 32

    def times(self, d_x: int, *, num_repeats: int = 1) -> NDArray[np.float32]:
        """[R, ROWS, B] products with the activations of the columns."""
        cols = 32 * self.num_blocks
        packed = np.frombuffer(pack(self.type, self.stored, rows=ROWS, cols=cols), np.uint8)
        matrix = packed_matrix(self.gpu.upload(packed), self.type, rows=ROWS, cols=cols)
        d_out = self.gpu.empty(ROWS * self.num_blocks * 4)
        args: list[Argument] = [matrix, pointer(d_x), pointer(d_out)]
        products = np.empty((num_repeats, ROWS, self.num_blocks), np.float32)
        for product in products:
            self.gpu.fill(d_out, 0xFF, product.nbytes)
            self.gpu.launch("dot_block.cu", f"dot_blocks<{self.type.name}>", ROWS, 64, args)
            product[:] = self.gpu.download(d_out, product.shape, np.float32)
        return products


@pytest.mark.parametrize("tensor_type", QUANTIZED_TYPES, ids=lambda tensor_type: tensor_type.name)
@pytest.mark.parametrize("cols", [256, 1792])
def test_the_dot_product_of_a_sub_block_is_exact_but_for_its_scaling(
    gpu: Gpu, tensor_type: TensorType, cols: int
) -> None:
    rng = np.random.default_rng(5)
    weights = Weights(gpu, tensor_type, random_tensor((ROWS, cols), tensor_type, rng))
    d_x = quantize(gpu, rng.standard_normal(cols).astype(np.float32))

    products = weights.times(d_x, num_repeats=21)

    quants, scales, _ = read_quantized(gpu, d_x, cols // 32)
    x = scales[:, None].astype(np.float64) * quants
    blocks = np.frombuffer(weights.stored, np.uint8).reshape(ROWS, -1)
    values = dequantize(blocks, GGMLQuantizationType(tensor_type)).reshape(ROWS, -1, 32)
    expected = (values.astype(np.float64) * x).sum(axis=2)
    assert np.square(products[0] - expected).sum() / np.square(expected).sum() < 1e-10
    assert (products == products[0]).all()


@pytest.mark.req("M0-W-1421")
@pytest.mark.parametrize("tensor_type", QUANTIZED_TYPES, ids=lambda tensor_type: tensor_type.name)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_activation_that_is_not_finite_makes_every_product_of_its_block_nan(
    gpu: Gpu, tensor_type: TensorType, value: float
) -> None:
    rng = np.random.default_rng(4)
    weights = Weights(gpu, tensor_type, random_tensor((ROWS, 256), tensor_type, rng))
    x = rng.standard_normal(256).astype(np.float32)
    x[[3, 2 * 32 + 31]] = value

    (products,) = weights.times(quantize(gpu, x))

    assert np.isnan(products[:, [0, 2]]).all()
    assert np.isfinite(products[:, [1, 3, 4, 5, 6, 7]]).all()
