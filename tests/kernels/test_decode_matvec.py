"""Matrix-vector products of a decode step against float64, with every tensor type and awkward shapes."""

import numpy as np
import pytest
from numpy.typing import NDArray

from backends.cuda.matvec_calls import MatvecCalls
from backends.cuda.packed import DENSE_TYPES
from ports.model_description import ClampedSwiGlu, Experts, LayerNorm, Linear, RmsNorm
from ports.tensor_types import TensorType
from tests.kernels.device_weights import (
    Doubles,
    RandomWeights,
    from_int8_blocks,
    layer_norm,
    nmse,
    rms_norm,
    run,
    to_int8_blocks,
)
from tests.kernels.gpu import Gpu

pytestmark = [pytest.mark.gpu, pytest.mark.req("M0-W-1430", "M0-W-1435", "M0-W-1810", "M0-W-1822")]

T = TensorType
EPS = 1e-5
NUM_REPEATS = 20
LEAST_RESULTS = 64
INT8_NOISE = 1e-4  # of rounding a result to int8 blocks
K_QUANTS = {T.Q4_K, T.Q5_K, T.Q6_K}
# rows and columns: one row, odd rows, a router's, few and many columns, more rows than warps on the device
SHAPES = [(1, 256), (7, 512), (40, 2304), (133, 1024), (896, 4864 // 256 * 256), (1001, 2048), (20_011, 256)]
RAGGED = [(5, 36), (33, 97), (64, 8), (32, 2880)]  # dense only


def bar(*types: TensorType) -> float:
    return 1e-5 if all(type_ in DENSE_TYPES for type_ in types) else 5e-4


def vector(size: int, seed: int = 3) -> Doubles:
    return np.random.default_rng(seed).standard_normal(size).astype(np.float32).astype(np.float64)


@pytest.fixture
def weights(gpu: Gpu) -> RandomWeights:
    return RandomWeights(gpu, seed=11)


@pytest.fixture
def calls(gpu: Gpu, weights: RandomWeights) -> MatvecCalls:
    return MatvecCalls(weights, num_multiprocessors=gpu.context.properties.num_multiprocessors)


def norm_of(weights: RandomWeights, size: int) -> RmsNorm:
    return RmsNorm(weights.tensor((size,)), EPS)


@pytest.mark.parametrize("tensor_type", list(T), ids=lambda type_: type_.name)
def test_rows_of_every_type_and_shape(
    gpu: Gpu, weights: RandomWeights, calls: MatvecCalls, tensor_type: TensorType
) -> None:
    shapes = SHAPES + (RAGGED if tensor_type in DENSE_TYPES else [])
    for rows, cols in shapes:
        norm, linear = norm_of(weights, cols), weights.linear(rows, cols, tensor_type)
        results, expected = [], []
        for seed in range(1 + LEAST_RESULTS // rows):  # one product alone may be next to nothing
            x = vector(cols, seed)
            d_x, d_out = gpu.upload(x.astype(np.float32)), gpu.empty(4 * rows)
            run(gpu, calls.rows(norm, [linear], d_x, d_out))
            results.append(gpu.download(d_out, rows, np.float32))
            expected.append(weights.apply(linear, rms_norm(x, weights.values[norm.weight.name], EPS)))

        error = nmse(np.concatenate(results), np.concatenate(expected))
        assert error < bar(tensor_type), f"{rows} x {cols}: {error}"


@pytest.mark.parametrize(
    "types",
    [(T.Q4_K, T.Q4_K, T.Q6_K), (T.Q5_0, T.Q5_0, T.Q8_0), (T.F32, T.Q8_0, T.F16), (T.Q4_0, T.BF16, T.Q4_0)],
    ids=str,
)
def test_three_matrices_of_mixed_types_share_an_input(
    gpu: Gpu, weights: RandomWeights, calls: MatvecCalls, types: tuple[TensorType, ...]
) -> None:
    cols, heights = 768, (515, 64, 66)
    norm, x = norm_of(weights, cols), vector(cols)
    linears = [weights.linear(rows, cols, type_) for rows, type_ in zip(heights, types, strict=True)]
    d_x, d_out = gpu.upload(x.astype(np.float32)), gpu.empty(4 * sum(heights))

    run(gpu, calls.rows(norm, linears, d_x, d_out))

    normed = rms_norm(x, weights.values[norm.weight.name], EPS)
    expected = np.concatenate([weights.apply(linear, normed) for linear in linears])
    assert nmse(gpu.download(d_out, sum(heights), np.float32), expected) < bar(*types)


def test_parts_of_a_fused_tensor(gpu: Gpu, weights: RandomWeights, calls: MatvecCalls) -> None:
    cols = 256
    norm, x = norm_of(weights, cols), vector(cols)
    weight, bias = weights.tensor((96, cols), T.Q8_0), weights.tensor((96,))
    parts = [
        Linear(weight, bias, range(0, 40)),
        Linear(weight, bias, range(40, 68)),
        Linear(weight, bias, range(68, 96)),
    ]
    d_x, d_out = gpu.upload(x.astype(np.float32)), gpu.empty(4 * 96)

    run(gpu, calls.rows(norm, parts, d_x, d_out))

    expected = weights.apply(Linear(weight, bias), rms_norm(x, weights.values[norm.weight.name], EPS))
    assert nmse(gpu.download(d_out, 96, np.float32), expected) < bar(T.Q8_0)


@pytest.mark.parametrize("cols", [64, 1600])
def test_layer_norm(gpu: Gpu, weights: RandomWeights, calls: MatvecCalls, cols: int) -> None:
    norm = LayerNorm(weights.tensor((cols,)), weights.tensor((cols,)), EPS)
    linear, x = weights.linear(50, cols, T.F32), vector(cols) + 7  # a mean far from 0
    d_x, d_out = gpu.upload(x.astype(np.float32)), gpu.empty(4 * 50)

    run(gpu, calls.rows(norm, [linear], d_x, d_out))

    values = weights.values
    expected = weights.apply(linear, layer_norm(x, values[norm.weight.name], values[norm.bias.name], EPS))
    assert nmse(gpu.download(d_out, 50, np.float32), expected) < bar(T.F32)


@pytest.mark.parametrize("tensor_type", list(T), ids=lambda type_: type_.name)
@pytest.mark.parametrize("shape", [(1, 256), (96, 14336), (896, 4864 // 256 * 256), (4096, 4096)], ids=str)
def test_projections_add_to_the_residual_stream(
    gpu: Gpu, weights: RandomWeights, calls: MatvecCalls, tensor_type: TensorType, shape: tuple[int, int]
) -> None:
    rows, cols = shape
    linear, inside, x = weights.linear(rows, cols, tensor_type), vector(cols), vector(rows, seed=4)
    d_inside = gpu.upload(inside.astype(np.float32))
    added = []
    for is_int8 in [False] if tensor_type in DENSE_TYPES else [False, True]:
        d_x = gpu.upload(x.astype(np.float32))
        d_input = gpu.upload(to_int8_blocks(inside)) if is_int8 else d_inside
        run(gpu, calls.project(linear, d_input, d_x, is_int8=is_int8))
        added.append(gpu.download(d_x, rows, np.float32))

    for result in added:
        assert nmse((result.astype(np.float64) - x).astype(np.float32), weights.apply(linear, inside)) < bar(
            tensor_type
        )
    np.testing.assert_allclose(
        added[0], added[-1], rtol=1e-4, atol=1e-4
    )  # the same blocks, whoever made them


@pytest.mark.parametrize(
    "types", [(T.Q4_K, T.Q4_K), (T.Q5_0, T.Q8_0), (T.F32, T.F32), (T.F16, T.Q4_0)], ids=str
)
@pytest.mark.parametrize("rows", [1003, 32, 4864])
def test_swiglu(
    gpu: Gpu, weights: RandomWeights, calls: MatvecCalls, types: tuple[TensorType, TensorType], rows: int
) -> None:
    cols = 512
    norm, x = norm_of(weights, cols), vector(cols)
    gate, up = (weights.linear(rows, cols, type_) for type_ in types)
    d_x = gpu.upload(x.astype(np.float32))

    normed = rms_norm(x, weights.values[norm.weight.name], EPS)
    gated = weights.apply(gate, normed)
    expected = gated / (1 + np.exp(-gated)) * weights.apply(up, normed)

    for as_int8 in [False, True] if rows % 32 == 0 else [False]:
        d_inside = gpu.empty(4 * rows)
        run(gpu, calls.swiglu(norm, gate, up, d_x, d_inside, as_int8=as_int8))
        result = download_inside(gpu, d_inside, rows, as_int8=as_int8)
        assert nmse(result, expected) < 2 * bar(*types) + (INT8_NOISE if as_int8 else 0)


@pytest.mark.parametrize("rows", [333, 96])
def test_gelu(gpu: Gpu, weights: RandomWeights, calls: MatvecCalls, rows: int) -> None:
    norm, x, up = norm_of(weights, 100), vector(100), weights.linear(rows, 100, T.F32)
    d_x = gpu.upload(x.astype(np.float32))
    y = weights.apply(up, rms_norm(x, weights.values[norm.weight.name], EPS))
    expected = 0.5 * y * (1 + np.tanh(np.sqrt(2 / np.pi) * (y + 0.044715 * y**3)))

    for as_int8 in [False, True] if rows % 32 == 0 else [False]:
        d_inside = gpu.empty(4 * rows)
        run(gpu, calls.gelu(norm, up, d_x, d_inside, as_int8=as_int8))
        result = download_inside(gpu, d_inside, rows, as_int8=as_int8)
        assert nmse(result, expected) < bar(T.F32) + (INT8_NOISE if as_int8 else 0)


def download_inside(gpu: Gpu, d_inside: int, size: int, *, as_int8: bool) -> NDArray[np.float32]:
    if as_int8:
        return from_int8_blocks(gpu.download(d_inside, size // 32 * 40, np.uint8))
    return gpu.download(d_inside, size, np.float32)


def experts_of(weights: RandomWeights, hidden_size: int, size: int, tensor_type: TensorType) -> Experts:
    """Four of forty."""
    return Experts(
        num_experts=40,
        num_active=4,
        intermediate_size=size,
        router=weights.linear(40, hidden_size, T.F32),
        gate=weights.expert_linear(40, size, hidden_size, tensor_type),
        up=weights.expert_linear(40, size, hidden_size, tensor_type),
        down=weights.expert_linear(40, hidden_size, size, tensor_type),
        activation=ClampedSwiGlu(alpha=1.702, limit=1.0),
    )


@pytest.mark.parametrize("tensor_type", [T.MXFP4, T.Q8_0, T.F32], ids=lambda type_: type_.name)
@pytest.mark.parametrize("logits", ["random", "tied"])
def test_experts(
    gpu: Gpu, weights: RandomWeights, calls: MatvecCalls, tensor_type: TensorType, logits: str
) -> None:
    hidden_size, size, num_experts = 160, 96, 40
    experts = experts_of(weights, hidden_size, size, tensor_type)
    norm, x = norm_of(weights, hidden_size), vector(hidden_size)
    router = vector(num_experts, seed=8) if logits == "random" else np.array([2.0, 3.0] * 20)
    d_x, d_router = gpu.upload(x.astype(np.float32)), gpu.upload(router.astype(np.float32))
    d_inside = gpu.empty(4 * 4 * size)

    run(gpu, calls.experts_inside(norm, experts, d_x, d_router, d_inside))
    run(gpu, calls.experts_down(experts, d_inside, d_router, d_x))

    values, normed = weights.values, rms_norm(x, weights.values[norm.weight.name], EPS)
    chosen = np.argsort(-router, kind="stable")[:4]
    shares = np.exp(router[chosen] - router[chosen].max())
    shares /= shares.sum()
    expected = np.zeros(hidden_size)
    for expert, share in zip(chosen, shares, strict=True):
        gate, up = (
            values[linear.weight.name][expert] @ normed + values[linear.bias.name][expert]
            for linear in (experts.gate, experts.up)
        )
        gate, up = np.minimum(gate, 1.0), np.clip(up, -1.0, 1.0)
        inside = (up + 1) * gate / (1 + np.exp(-1.702 * gate))
        down = experts.down
        expected += share * (values[down.weight.name][expert] @ inside + values[down.bias.name][expert])
    added = gpu.download(d_x, hidden_size, np.float32).astype(np.float64) - x
    assert nmse(added.astype(np.float32), expected) < 2 * bar(tensor_type)


@pytest.mark.req("M0-W-1421")
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_feed_forward_of_what_is_not_finite_is_nan(
    gpu: Gpu, weights: RandomWeights, calls: MatvecCalls, value: float
) -> None:
    hidden_size, size = 160, 96
    norm, x = norm_of(weights, hidden_size), vector(hidden_size).astype(np.float32)
    x[7] = value
    gate, up = (weights.linear(size, hidden_size, T.F32) for _ in range(2))
    experts = [experts_of(weights, hidden_size, size, tensor_type) for tensor_type in (T.F32, T.MXFP4)]
    d_x, d_router = gpu.upload(x), gpu.upload(vector(40, seed=8).astype(np.float32))

    for as_int8 in (False, True):
        d_inside = gpu.empty(4 * size)
        run(gpu, calls.swiglu(norm, gate, up, d_x, d_inside, as_int8=as_int8))
        assert np.isnan(download_inside(gpu, d_inside, size, as_int8=as_int8)).all()
    for each in experts:
        d_inside, d_sum = gpu.empty(4 * 4 * size), gpu.upload(np.zeros(hidden_size, np.float32))
        run(gpu, calls.experts_inside(norm, each, d_x, d_router, d_inside))
        run(gpu, calls.experts_down(each, d_inside, d_router, d_sum))
        assert np.isnan(gpu.download(d_sum, hidden_size, np.float32)).all()


@pytest.mark.req("M0-W-1031")
def test_every_product_is_the_same_to_the_bit_every_time(
    gpu: Gpu, weights: RandomWeights, calls: MatvecCalls
) -> None:
    norm, x = norm_of(weights, 4864), vector(4864).astype(np.float32)
    rows, gate, up = (weights.linear(896, 4864, type_) for type_ in (T.Q8_0, T.Q4_0, T.Q4_0))
    project = weights.linear(512, 4864, T.Q5_0)
    experts = experts_of(weights, 160, 96, T.MXFP4)
    expert_norm = norm_of(weights, 160)
    d_x, d_wide, d_router = gpu.upload(x), gpu.upload(x), gpu.upload(vector(40, seed=8).astype(np.float32))
    results = set()
    for _ in range(NUM_REPEATS):
        d_outs = [gpu.empty(4 * size) for size in (896, 896, 4 * 96)]
        d_residuals = [gpu.upload(x[:512]), gpu.upload(x[:160])]
        run(gpu, calls.rows(norm, [rows], d_x, d_outs[0]))
        run(gpu, calls.swiglu(norm, gate, up, d_x, d_outs[1], as_int8=True))
        run(gpu, calls.project(project, d_wide, d_residuals[0], is_int8=False))
        run(gpu, calls.experts_inside(expert_norm, experts, d_x, d_router, d_outs[2]))
        run(gpu, calls.experts_down(experts, d_outs[2], d_router, d_residuals[1]))
        sizes = (4 * 896, 896 // 32 * 40, 4 * (96 // 32 * 40 + 8))
        outs = [gpu.download(d_out, size, np.uint8) for d_out, size in zip(d_outs, sizes, strict=True)]
        outs += [
            gpu.download(d_residuals[0], 4 * 512, np.uint8),
            gpu.download(d_residuals[1], 4 * 160, np.uint8),
        ]
        results.add(b"".join(out.tobytes() for out in outs))

    assert 1 == len(results)
