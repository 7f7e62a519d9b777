"""Matrix products on the tensor cores, and what follows each, against float64: every type, awkward shapes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
import pytest
from numpy.typing import NDArray

from backends.cuda.call import Call
from backends.cuda.packed import DENSE_TYPES
from backends.cuda.prefill_args import PanelsArgs
from backends.cuda.prefill_matmul import Tokens
from ports.model_description import Linear
from ports.tensor_types import TensorType
from tests.backends.cuda.every_kernel import MATMULS
from tests.kernels.device_weights import Doubles, RandomWeights, matmul_calls, nmse, run
from tests.kernels.forced_tile import TILE_NUMBERS, tile_number
from tests.kernels.gpu import Gpu
from tests.kernels.prefill_rows import download_rows, empty_rows, is_poison, upload_count, upload_rows

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.req("M0-W-1430", "M0-W-1433", "M0-W-1435", "M0-W-1822", "M0-W-1031"),
]

BAR = 1e-5  # weights are rounded to bfloat16, which costs about 1.5e-6, and so are activations
NUM_SPARE = 3  # rows before and after a result, and tokens that a launch serves beyond those that there are
SHAPES = [
    (1, 300, 256),
    (300, 1, 256),
    (3, 65, 512),
    (16, 64, 256),
    (65, 130, 256),
    (129, 257, 768),
    (34, 70, 2304),
]  # tokens, rows, columns
RAGGED = [(5, 33, 1), (2, 7, 31), (17, 70, 77), (70, 65, 200)]  # columns that only dense types can have
NO_SUPER_BLOCKS = [(33, 100, 32), (7, 65, 96), (130, 129, 160)]
CASES = [
    pytest.param(tensor_type, shape, id="-".join(map(str, (tensor_type.name, *shape))))
    for tensor_type in TensorType
    for shape in [
        *SHAPES,
        *(NO_SUPER_BLOCKS if tensor_type.block.num_elements < 256 else []),
        *(RAGGED if tensor_type in DENSE_TYPES else []),
    ]
]

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Product:
    """One launch, as often as one likes, and what it must give."""

    compute: Callable[[], Floats]
    expected: Doubles

    def compute_by(self, number: int) -> Floats:
        with tile_number(number):
            return self.compute()


class Chunk:
    """Rows of activations to multiply, and the launches that serve them and some more."""

    def __init__(self, gpu: Gpu, weights: RandomWeights, x: Doubles, *, num_spare: int = NUM_SPARE) -> None:
        self._gpu = gpu
        self._weights = weights
        self._calls = matmul_calls(gpu, weights)
        self._num_tokens = len(x)
        self._tokens = Tokens(len(x) + num_spare, upload_count(gpu, len(x)))
        self._rows, self._x = upload_rows(gpu, x, num_spare=num_spare)

    def stack(self, linears: Sequence[Linear]) -> Product:
        expected = np.hstack([self.applied(linear) for linear in linears])
        return self._floats(
            lambda d_y: self._calls.stack(linears, self._rows, d_y, self._tokens),
            expected,
            before=np.full(expected.shape, np.nan),
        )

    def add(self, linear: Linear, before: Doubles | None = None) -> Product:
        applied = self.applied(linear)
        if before is None:  # little beside the product, whose error is what counts
            before = np.random.default_rng(9).standard_normal(applied.shape) / 8
        before = before.astype(np.float32).astype(np.float64)
        return self._floats(
            lambda d_y: self._calls.add(linear, self._rows, d_y, self._tokens), before + applied, before
        )

    def swiglu(self, gate: Linear, up: Linear) -> Product:
        g = self.applied(gate)
        return self._activations(
            lambda y: self._calls.swiglu(gate, up, self._rows, y, self._tokens),
            g / (1 + np.exp(-g)) * self.applied(up),
        )

    def gelu(self, linear: Linear) -> Product:
        x = self.applied(linear)
        return self._activations(
            lambda y: self._calls.gelu(linear, self._rows, y, self._tokens),
            x / 2 * (1 + np.tanh(sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
        )

    def applied(self, linear: Linear) -> Doubles:
        """weight @ x + bias of every token."""
        y = self._weights.apply(replace(linear, bias=None), self._x.T).T
        if linear.bias is not None:
            y = y + self._weights.values[linear.bias.name][linear.rows.start : linear.rows.stop]
        return y

    def _floats(self, make: Callable[[int], Call], expected: Doubles, before: Doubles) -> Product:
        """Into rows that hold something; those before and after them stay as they are."""
        num_tokens, num_rows = expected.shape

        def compute() -> Floats:
            poison = np.full((num_tokens + 2 * NUM_SPARE, num_rows), 0xFFFFFFFF, np.uint32)
            y = poison.view(np.float32)
            y[NUM_SPARE:-NUM_SPARE] = before
            d_y = self._gpu.upload(y)
            run(self._gpu, make(d_y + 4 * NUM_SPARE * num_rows))
            y = self._gpu.download(d_y, y.shape, np.float32)
            assert is_poison(y[:NUM_SPARE])
            assert is_poison(y[-NUM_SPARE:])
            return y[NUM_SPARE:-NUM_SPARE]

        return Product(compute, expected)

    def _activations(self, make: Callable[[PanelsArgs], Call], expected: Doubles) -> Product:
        num_tokens, num_rows = expected.shape

        def compute() -> Floats:
            y = empty_rows(self._gpu, num_tokens + NUM_SPARE, num_rows)
            run(self._gpu, make(y))
            return download_rows(self._gpu, y, num_tokens).astype(np.float32)

        return Product(compute, expected)


KINDS: dict[str, Callable[[Chunk, Sequence[Linear]], Product]] = {
    "stack": lambda chunk, linears: chunk.stack(linears),
    "add": lambda chunk, linears: chunk.add(linears[0]),
    "swiglu": lambda chunk, linears: chunk.swiglu(linears[0], linears[1]),
    "gelu": lambda chunk, linears: chunk.gelu(linears[0]),
}
kinds = pytest.mark.parametrize("kind", KINDS)


def rows_of(num_tokens: int, num_columns: int) -> Doubles:
    return np.random.default_rng(num_tokens).standard_normal((num_tokens, num_columns))


def three(weights: RandomWeights, num_rows: int, num_columns: int, tensor_type: TensorType) -> list[Linear]:
    """Two of a size and a smaller one."""
    sizes = num_rows, num_rows, num_rows // 2 + 1
    return [weights.linear(size, num_columns, tensor_type) for size in sizes]


@pytest.fixture(autouse=True)
def _compiled(gpu: Gpu) -> None:
    """All of them side by side, before the first test: one after another they take minutes."""
    gpu.compile(*((source.file, source.name) for source in MATMULS if source.file == "prefill_matmul.cu"))


def check_every_tile(
    gpu: Gpu, tensor_type: TensorType, shape: tuple[int, int, int], kind: str, *, seed: int
) -> None:
    num_tokens, num_rows, num_columns = shape
    weights = RandomWeights(gpu, seed=seed)
    linears = three(weights, num_rows, num_columns, tensor_type)
    product = KINDS[kind](Chunk(gpu, weights, rows_of(num_tokens, num_columns)), linears)

    results = [product.compute_by(number) for number in TILE_NUMBERS]

    assert nmse(results[0], product.expected) <= BAR
    for result in results:
        np.testing.assert_array_equal(results[0], result)


@kinds
@pytest.mark.parametrize(("tensor_type", "shape"), CASES)
def test_every_tile_gives_the_same_product(
    gpu: Gpu, tensor_type: TensorType, shape: tuple[int, int, int], kind: str
) -> None:
    check_every_tile(gpu, tensor_type, shape, kind, seed=14)


@pytest.mark.parametrize("kind", ["stack", "add"])
@pytest.mark.parametrize("tensor_type", TensorType, ids=lambda tensor_type: tensor_type.name)
def test_one_row_and_one_token(gpu: Gpu, tensor_type: TensorType, kind: str) -> None:
    """Of what follows a product, one number alone may be as much nearer to 0 as it likes."""
    check_every_tile(gpu, tensor_type, (1, 1, 256), kind, seed=1)


@kinds
@pytest.mark.parametrize("number", TILE_NUMBERS)
def test_a_product_repeats_bit_for_bit(gpu: Gpu, number: int, kind: str) -> None:
    weights = RandomWeights(gpu, seed=2)
    linears = three(weights, 896, 896, TensorType.Q5_0)
    product = KINDS[kind](Chunk(gpu, weights, rows_of(130, 896)), linears)

    first = product.compute_by(number)
    for _ in range(20):
        np.testing.assert_array_equal(first, product.compute_by(number))


@kinds
def test_a_token_does_not_depend_on_the_others(gpu: Gpu, kind: str) -> None:
    weights = RandomWeights(gpu, seed=3)
    linears = three(weights, 200, 512, TensorType.Q4_K)
    x = rows_of(150, 512)
    zeros = np.zeros((len(x), 200))

    def compute(tokens: slice, number: int) -> Floats:
        chunk = Chunk(gpu, weights, x[tokens])
        product = chunk.add(linears[0], zeros[tokens]) if kind == "add" else KINDS[kind](chunk, linears)
        return product.compute_by(number)

    whole = compute(slice(0, 150), 0)
    for part in (slice(0, 1), slice(7, 40), slice(50, 59), slice(99, 150)):
        for number in TILE_NUMBERS:
            np.testing.assert_array_equal(whole[part], compute(part, number))


@kinds
@pytest.mark.parametrize("number", TILE_NUMBERS)
@pytest.mark.parametrize("num_tokens", [1, 16, 17, 64, 65, 200])
def test_a_launch_may_serve_more_tokens_than_there_are(
    gpu: Gpu, num_tokens: int, number: int, kind: str
) -> None:
    """Whole blocks of it have nothing to do, or have none to spare."""
    weights = RandomWeights(gpu, seed=8)
    linears = three(weights, 70, 128, TensorType.Q8_0)
    x = rows_of(num_tokens, 128)
    many, just_enough = (
        KINDS[kind](Chunk(gpu, weights, x, num_spare=num_spare), linears).compute_by(number)
        for num_spare in (512 - num_tokens, 0)
    )

    np.testing.assert_array_equal(just_enough, many)


@pytest.mark.parametrize("number", TILE_NUMBERS)
@pytest.mark.parametrize(
    "types",
    [
        (TensorType.Q4_K, TensorType.Q4_K, TensorType.Q6_K),
        (TensorType.Q5_0, TensorType.F16, TensorType.Q8_0),
        (TensorType.F32, TensorType.MXFP4, TensorType.MXFP4),
        (TensorType.Q4_0, TensorType.Q5_1),
        (TensorType.BF16,),
    ],
    ids=lambda types: "-".join(tensor_type.name for tensor_type in types),
)
def test_a_stack_of_different_types_and_sizes(gpu: Gpu, types: Sequence[TensorType], number: int) -> None:
    """None of whose sizes is that of a tile, but for one."""
    weights = RandomWeights(gpu, seed=7)
    linears = [
        weights.linear(num_rows, 256, tensor_type)
        for num_rows, tensor_type in zip((130, 128, 9), types, strict=False)
    ]
    product = Chunk(gpu, weights, rows_of(70, 256)).stack(linears)

    y = product.compute_by(number)

    for linear, columns in zip(linears, (slice(0, 130), slice(130, 258), slice(258, 267)), strict=False):
        assert len(linear.rows) == columns.stop - columns.start
        assert nmse(y[:, columns], product.expected[:, columns]) <= BAR


@pytest.mark.parametrize("number", TILE_NUMBERS)
def test_mxfp4_of_every_exponent_is_exact(gpu: Gpu, number: int) -> None:
    """All codes of a row, one at a time; larger exponents are beyond float32, smaller ones below it."""
    exponents = np.arange(2, 253, dtype=np.uint8)
    codes = np.arange(16, dtype=np.uint8) * 16 + np.arange(16, dtype=np.uint8)[::-1]
    blocks = np.hstack([exponents[:, None], np.broadcast_to(codes, (len(exponents), 16))])
    weights = RandomWeights(gpu, seed=0)
    weight = weights.tensor((len(exponents), 32), TensorType.MXFP4, blocks.tobytes())

    y = Chunk(gpu, weights, np.eye(32)).stack([Linear(weight)]).compute_by(number)

    np.testing.assert_array_equal(weights.values[weight.name].T, y)


@kinds
@pytest.mark.parametrize("part", [range(0, 96), range(96, 160), range(159, 160)], ids=str)
@pytest.mark.parametrize("tensor_type", [TensorType.Q6_K, TensorType.MXFP4, TensorType.F16])
def test_some_rows_of_a_matrix(gpu: Gpu, tensor_type: TensorType, part: range, kind: str) -> None:
    """Of a fused one, say: other parts of it stand beside them."""
    weights = RandomWeights(gpu, seed=14)
    fused = weights.linear(320, 256, tensor_type)
    parts = [part, range(part.start + 160, part.stop + 160), range(0, 7)]
    product = KINDS[kind](
        Chunk(gpu, weights, rows_of(200, 256)), [replace(fused, part=rows) for rows in parts]
    )

    assert nmse(product.compute(), product.expected) <= BAR


@pytest.mark.parametrize("has_bias", [False, True])
def test_a_product_is_added_to_what_is_there(gpu: Gpu, has_bias: bool) -> None:
    weights = RandomWeights(gpu, seed=5)
    linear = weights.linear(100, 256, TensorType.Q8_0, has_bias=has_bias)
    chunk = Chunk(gpu, weights, rows_of(20, 256))
    once = chunk.add(linear, np.zeros((20, 100))).compute()

    np.testing.assert_array_equal(once + once, chunk.add(linear, once.astype(np.float64)).compute())


@pytest.mark.parametrize("kind", ["swiglu", "gelu"])
@pytest.mark.parametrize("number", TILE_NUMBERS)
def test_from_one_end_of_the_sigmoid_to_the_other(gpu: Gpu, number: int, kind: str) -> None:
    """A token by itself each: a small one would not be noticed beside a large one."""
    weights = RandomWeights(gpu, seed=10)
    linears = [weights.linear(300, 512, TensorType.BF16, has_bias=False) for _ in range(2)]
    x = rows_of(20, 512) * np.geomspace(0.01, 100.0, 20)[:, None]
    chunk = Chunk(gpu, weights, x)
    product = KINDS[kind](chunk, linears)
    inside = chunk.applied(linears[0])
    assert inside.min() < -200.0
    assert inside.max() > 200.0

    for y, expected in zip(product.compute_by(number), product.expected, strict=True):
        assert nmse(y, expected) <= BAR


@kinds
@pytest.mark.parametrize(("num_tokens", "num_rows", "num_columns"), [(512, 8192, 4096), (512, 896, 4864)])
def test_true_sizes(gpu: Gpu, num_tokens: int, num_rows: int, num_columns: int, kind: str) -> None:
    weights = RandomWeights(gpu, seed=6)
    linears = [weights.linear(num_rows, num_columns, TensorType.Q4_0)] * 3
    product = KINDS[kind](Chunk(gpu, weights, rows_of(num_tokens, num_columns), num_spare=0), linears)

    assert nmse(product.compute(), product.expected) <= BAR
