"""Matrix products on the tensor cores against float64, for every type and awkward shapes."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from backends.cuda.packed import DENSE_TYPES
from backends.cuda.prefill_matmul import TILES, MatmulCalls, Tile, choose_tile
from ports.model_description import Linear
from ports.tensor_types import TensorType
from tests.kernels.device_weights import Doubles, RandomWeights, nmse, run
from tests.kernels.gpu import POISON, Gpu
from tests.kernels.prefill_rows import upload_rows

pytestmark = [pytest.mark.gpu, pytest.mark.req("M0-W-1430", "M0-W-1435", "M0-W-1822", "M0-W-1031")]

BAR = 1e-5  # weights are rounded to bfloat16, which costs about 1.5e-6
MULTIPROCESSORS = {TILES[0]: 1, TILES[1]: 60, TILES[2]: 10**6}  # for which a tile is chosen, where it can be
SHAPES = [(1, 1, 256), (3, 65, 512), (16, 64, 256), (65, 130, 256), (129, 257, 768)]  # tokens, rows, columns
RAGGED = [(5, 33, 1), (2, 7, 31), (17, 70, 77), (70, 65, 200)]  # columns that only dense types can have
NO_SUPER_BLOCKS = [(33, 100, 32), (7, 65, 96), (130, 129, 160)]
CASES = [
    pytest.param(tensor_type, *shape, id="-".join(map(str, (tensor_type.name, *shape))))
    for tensor_type in TensorType
    for shape in [
        *SHAPES,
        *(NO_SUPER_BLOCKS if tensor_type.block.num_elements < 256 else []),
        *(RAGGED if tensor_type in DENSE_TYPES else []),
    ]
]


def rows_of(num_tokens: int, num_columns: int) -> Doubles:
    return np.random.default_rng(num_tokens).standard_normal((num_tokens, num_columns))


class Product:
    """One product, into columns of a wider result."""

    def __init__(self, gpu: Gpu, weights: RandomWeights, linear: Linear, x: Doubles) -> None:
        self._gpu = gpu
        self._weights = weights
        self._linear = linear
        self._shape = len(x), len(linear.rows) + 5
        self.d_x, rounded = upload_rows(gpu, x)
        self.expected = weights.apply(replace(linear, bias=None), rounded.T).T
        if linear.bias is not None:
            self.expected += weights.values[linear.bias.name][linear.rows.start : linear.rows.stop]
        self.d_y = gpu.empty(4 * self._shape[0] * self._shape[1])

    def compute(self, num_multiprocessors: int) -> NDArray[np.float32]:
        self._gpu.fill(self.d_y, POISON, 4 * self._shape[0] * self._shape[1])
        return self.go_on(num_multiprocessors, adds=False)

    def go_on(self, num_multiprocessors: int, *, adds: bool) -> NDArray[np.float32]:
        """Into what the result holds already; the columns beside it stay as they are."""
        calls = MatmulCalls(self._weights, num_multiprocessors=num_multiprocessors)
        num_tokens, y_stride = self._shape
        call = calls.product(
            self._linear, self.d_x, self.d_y + 4 * 2, num_tokens=num_tokens, y_stride=y_stride, adds=adds
        )
        run(self._gpu, call)
        y = self._gpu.download(self.d_y, self._shape, np.float32)
        assert np.isnan(y[:, :2]).all()
        assert np.isnan(y[:, -3:]).all()
        return y[:, 2:-3]


@pytest.mark.parametrize(("tensor_type", "num_tokens", "num_rows", "num_columns"), CASES)
def test_every_tile_gives_the_same_product(
    gpu: Gpu, tensor_type: TensorType, num_tokens: int, num_rows: int, num_columns: int
) -> None:
    weights = RandomWeights(gpu, seed=1)
    linear = weights.linear(num_rows, num_columns, tensor_type)
    product = Product(gpu, weights, linear, rows_of(num_tokens, num_columns))

    results = [product.compute(count) for count in MULTIPROCESSORS.values()]

    assert nmse(results[0], product.expected) <= BAR
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


@pytest.mark.parametrize("tile", TILES, ids=str)
def test_a_product_repeats_bit_for_bit(gpu: Gpu, tile: Tile) -> None:
    weights = RandomWeights(gpu, seed=2)
    linear = weights.linear(896, 896, TensorType.Q5_0)
    product = Product(gpu, weights, linear, rows_of(130, 896))
    count = MULTIPROCESSORS[tile]

    assert tile == choose_tile(num_tokens=130, num_rows=896, num_multiprocessors=count)
    first = product.compute(count)
    for _ in range(20):
        np.testing.assert_array_equal(first, product.compute(count))


def test_a_token_does_not_depend_on_the_others(gpu: Gpu) -> None:
    weights = RandomWeights(gpu, seed=3)
    linear = weights.linear(200, 512, TensorType.Q4_K)
    x = rows_of(150, 512)
    whole = Product(gpu, weights, linear, x).compute(1)

    for part in (slice(0, 1), slice(7, 40), slice(99, 150)):
        np.testing.assert_array_equal(whole[part], Product(gpu, weights, linear, x[part]).compute(132))


@pytest.mark.parametrize("part", [range(0, 96), range(96, 160), range(159, 160)], ids=str)
@pytest.mark.parametrize("tensor_type", [TensorType.Q6_K, TensorType.MXFP4, TensorType.F16])
def test_some_rows_of_a_matrix(gpu: Gpu, tensor_type: TensorType, part: range) -> None:
    weights = RandomWeights(gpu, seed=4)
    linear = replace(weights.linear(160, 256, tensor_type), part=part)
    product = Product(gpu, weights, linear, rows_of(9, 256))

    assert nmse(product.compute(132), product.expected) <= BAR


def test_a_product_is_added_to_what_is_there(gpu: Gpu) -> None:
    weights = RandomWeights(gpu, seed=5)
    linear = weights.linear(100, 256, TensorType.Q8_0, has_bias=False)
    product = Product(gpu, weights, linear, rows_of(20, 256))
    once = product.compute(132)

    np.testing.assert_array_equal(once + once, product.go_on(132, adds=True))


@pytest.mark.parametrize(("num_tokens", "num_rows", "num_columns"), [(512, 8192, 4096), (512, 896, 4864)])
def test_true_sizes(gpu: Gpu, num_tokens: int, num_rows: int, num_columns: int) -> None:
    weights = RandomWeights(gpu, seed=6)
    linear = weights.linear(num_rows, num_columns, TensorType.Q4_0)
    product = Product(gpu, weights, linear, rows_of(num_tokens, num_columns))

    assert nmse(product.compute(132), product.expected) <= BAR
