"""What lies between a feed-forward's matrices, against float64."""

from ctypes import c_float, c_int32
from math import sqrt

import numpy as np
import pytest

from backends.cuda.kernel import Argument, pointer
from backends.cuda.prefill_matmul import padded
from tests.kernels.device_weights import Doubles, nmse
from tests.kernels.gpu import Gpu
from tests.kernels.prefill_rows import download_rows, empty_rows, poison_rows

pytestmark = [pytest.mark.gpu, pytest.mark.req("M0-W-1433", "M0-W-1031")]

BAR = 1e-5  # bfloat16 costs about 1.5e-6
ALPHA, LIMIT = 1.702, 7.0
shapes = pytest.mark.parametrize(("num_rows", "size"), [(1, 33), (3, 65), (17, 300), (512, 2880)])


def inputs(num_rows: int, num_columns: int) -> Doubles:
    """Wide enough for the clamp and for both ends of the sigmoid."""
    x = 6 * np.random.default_rng(num_columns).standard_normal((num_rows, num_columns))
    if num_rows > 1:
        x[0, 0], x[-1, -1] = -200.0, 200.0
    return x.astype(np.float32).astype(np.float64)


def compute(gpu: Gpu, name: str, x: Doubles, size: int, *more: Argument) -> Doubles:
    """Twenty times, each the same."""
    d_x, d_y = gpu.upload(x.astype(np.float32)), empty_rows(gpu, len(x), size)
    args = [pointer(d_x), pointer(d_y), c_int32(padded(size)), c_int32(size), *more]
    results = []
    for _ in range(20):
        poison_rows(gpu, d_y, len(x), size)
        gpu.launch("prefill_activation.cu", name, (-(-padded(size) // 256), len(x)), 256, args)
        results.append(download_rows(gpu, d_y, len(x), size))
    for result in results:
        np.testing.assert_array_equal(results[0], result)
    return results[0]


@shapes
def test_swiglu(gpu: Gpu, num_rows: int, size: int) -> None:
    x = inputs(num_rows, 2 * size)
    gate, up = x[:, :size], x[:, size:]

    y = compute(gpu, "swiglu_rows", x, size)

    assert nmse(y.astype(np.float32), gate / (1 + np.exp(-gate)) * up) <= BAR


@shapes
def test_clamped_swiglu(gpu: Gpu, num_rows: int, size: int) -> None:
    x = inputs(num_rows, 2 * size)
    gate, up = np.minimum(x[:, :size], LIMIT), np.clip(x[:, size:], -LIMIT, LIMIT)

    y = compute(gpu, "clamped_swiglu_rows", x, size, c_float(ALPHA), c_float(LIMIT))

    assert nmse(y.astype(np.float32), (up + 1) * gate / (1 + np.exp(-ALPHA * gate))) <= BAR


@shapes
def test_gelu(gpu: Gpu, num_rows: int, size: int) -> None:
    x = inputs(num_rows, size)

    y = compute(gpu, "gelu_rows", x, size)

    assert nmse(y.astype(np.float32), x / 2 * (1 + np.tanh(sqrt(2 / np.pi) * (x + 0.044715 * x**3)))) <= BAR
