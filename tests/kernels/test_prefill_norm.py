"""Norms of a chunk's rows against float64."""

from ctypes import c_float

import numpy as np
import pytest
from numpy.typing import NDArray

from backends.cuda.decode_args import Vector
from backends.cuda.kernel import Argument, pointer
from ports.tensor_types import TensorType
from tests.kernels.device_weights import Doubles, layer_norm, nmse, rms_norm
from tests.kernels.gpu import POISON, Gpu
from tests.kernels.prefill_rows import download_rows, empty_rows, is_poison, poison_rows, upload_count

pytestmark = [pytest.mark.gpu, pytest.mark.req("M0-W-1430", "M0-W-1432", "M0-W-1031")]

EPS = 1e-5
ROUNDED_BAR = 1e-5  # bfloat16 costs about 1.5e-6
EXACT_BAR = 1e-12
NUM_SPARE = 3  # tokens that the launch serves beyond those that there are

shapes = pytest.mark.parametrize(
    ("num_tokens", "hidden_size"),
    [(1, 1), (3, 63), (7, 64), (2, 257), (512, 896), (33, 4096), (5, 2881), (4, 128)],
)
kinds = pytest.mark.parametrize("kind", ["rms_norm", "layer_norm"])


class NormRows:
    """One norm of random rows that are far from centred."""

    def __init__(
        self, gpu: Gpu, kind: str, num_tokens: int, hidden_size: int, *, weight_type: TensorType
    ) -> None:
        rng = np.random.default_rng(hidden_size)
        self._gpu, self._kind = gpu, kind
        self._shape = num_tokens, hidden_size
        x = (2 + 3 * rng.standard_normal(self._shape)).astype(np.float32)
        x[0] *= 1e-3  # where eps counts
        dtype = np.float16 if weight_type is TensorType.F16 else np.float32
        weight, bias = (rng.standard_normal((2, hidden_size)) / 4 + 1).astype(dtype)
        self._vectors = [Vector(gpu.upload(weight), weight_type)]
        wide, weight, bias = x.astype(np.float64), weight.astype(np.float64), bias.astype(np.float64)
        if kind == "rms_norm":
            self.expected = rms_norm(wide, weight, EPS)
        else:
            self._vectors.append(Vector(gpu.upload(bias.astype(dtype)), weight_type))
            self.expected = np.array([layer_norm(row, weight, bias, EPS) for row in wide])
        self._d_x = gpu.upload(x)
        self._d_num_tokens = upload_count(gpu, num_tokens)
        self._y = empty_rows(gpu, num_tokens + NUM_SPARE, hidden_size)
        self._d_exact = gpu.empty(4 * (num_tokens + NUM_SPARE) * hidden_size)

    def compute(self) -> tuple[Doubles, NDArray[np.float32]]:
        num_tokens, hidden_size = self._shape
        most_tokens = num_tokens + NUM_SPARE
        poison_rows(self._gpu, self._y)
        self._gpu.fill(self._d_exact, POISON, 4 * most_tokens * hidden_size)
        args: list[Argument] = [pointer(self._d_x), *self._vectors, c_float(EPS), self._y]
        args += [pointer(self._d_exact), pointer(self._d_num_tokens)]
        self._gpu.launch("prefill_norm.cu", self._kind, most_tokens, 512, args)
        exact = self._gpu.download(self._d_exact, (most_tokens, hidden_size), np.float32)
        assert is_poison(exact[num_tokens:])
        return download_rows(self._gpu, self._y, num_tokens), exact[:num_tokens]


@kinds
@shapes
def test_rows_are_normed(gpu: Gpu, kind: str, num_tokens: int, hidden_size: int) -> None:
    norm = NormRows(gpu, kind, num_tokens, hidden_size, weight_type=TensorType.F32)
    rounded, exact = norm.compute()

    assert np.abs(rounded - norm.expected).max() <= 2**-8 * np.abs(norm.expected).max()
    assert nmse(rounded.astype(np.float32), norm.expected) <= ROUNDED_BAR
    assert nmse(exact, norm.expected) <= EXACT_BAR


@kinds
def test_weights_may_be_float16(gpu: Gpu, kind: str) -> None:
    norm = NormRows(gpu, kind, 5, 200, weight_type=TensorType.F16)

    assert nmse(norm.compute()[1], norm.expected) <= EXACT_BAR


@kinds
def test_norms_repeat_bit_for_bit(gpu: Gpu, kind: str) -> None:
    norm = NormRows(gpu, kind, 40, 1000, weight_type=TensorType.F32)
    first = norm.compute()

    for _ in range(20):
        np.testing.assert_array_equal(first[1], norm.compute()[1])
