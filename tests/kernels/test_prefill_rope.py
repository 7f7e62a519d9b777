"""From a layer's products to queries and cached keys and values, against float64."""

from ctypes import c_float, c_int32
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from backends.cuda.decode_args import Vector
from backends.cuda.kernel import Argument, pointer
from backends.cuda.prefill_args import RopeArgs
from ports.tensor_types import TensorType
from tests.kernels.device_weights import Doubles, nmse, rms_norm
from tests.kernels.gpu import Gpu
from tests.kernels.paged_cache import Halves, PagedCache
from tests.kernels.prefill_rows import is_poison, upload_count

pytestmark = [pytest.mark.gpu, pytest.mark.req("M0-W-1430", "M0-W-1031")]

BAR = 1e-7  # float16 results cost about 3e-8; angles in float32 would cost 1e-6 at the far end
QUERY_EPS, KEY_EPS = 1e-6, 1e-2
QUERY_SCALE = 0.125
NUM_SPARE = 3  # tokens that the launch serves beyond those that there are


@dataclass(frozen=True)
class Case:
    """`num_tokens` from `first` on."""

    num_tokens: int = 5
    first: int = 30
    num_heads: int = 4
    num_kv_heads: int = 2
    head_dim: int = 64
    rotary_dim: int = 64
    is_adjacent: bool = False
    has_norms: bool = False
    magnitude: float = 1.0
    theta: float = 10_000.0


CASES = [
    Case(num_tokens=1, first=0),
    Case(rotary_dim=0),
    Case(is_adjacent=True),
    Case(rotary_dim=32, is_adjacent=True),
    Case(rotary_dim=2, head_dim=24),
    Case(head_dim=96, rotary_dim=72, num_heads=7, num_kv_heads=1),
    Case(head_dim=128, rotary_dim=128, has_norms=True),
    Case(head_dim=8, rotary_dim=8, has_norms=True, is_adjacent=True),
    Case(head_dim=256, rotary_dim=256, num_heads=3, num_kv_heads=3),
    Case(num_heads=64, num_kv_heads=8, magnitude=1.35, theta=150_000.0, num_tokens=40),
    Case(num_tokens=2, first=131_070, theta=500_000.0),
]


def turned(heads: Doubles, case: Case, positions: NDArray[np.int64]) -> Doubles:
    """[T, heads, D]"""
    half = case.rotary_dim // 2
    first = np.arange(half) * (2 if case.is_adjacent else 1)
    second = first + (1 if case.is_adjacent else half)
    angles = np.multiply.outer(positions, frequencies(case))[:, None]
    cosine, sine = case.magnitude * np.cos(angles), case.magnitude * np.sin(angles)
    result = heads.copy()
    result[:, :, first] = heads[:, :, first] * cosine - heads[:, :, second] * sine
    result[:, :, second] = heads[:, :, first] * sine + heads[:, :, second] * cosine
    return result


def frequencies(case: Case) -> Doubles:
    return case.theta ** (-np.arange(0, case.rotary_dim, 2) / max(case.rotary_dim, 1))


class RotatedChunk:
    """Random products of one case."""

    def __init__(self, gpu: Gpu, case: Case) -> None:
        rng = np.random.default_rng(case.head_dim)
        self._gpu, self._case = gpu, case
        num_all = case.num_heads + 2 * case.num_kv_heads
        self._qkv = rng.standard_normal((case.num_tokens, num_all, case.head_dim)).astype(np.float32)
        self._norms = (1 + rng.standard_normal((2, case.head_dim)) / 4).astype(np.float32)
        self._positions = np.arange(case.first, case.first + case.num_tokens)

    def compute(self) -> tuple[Halves, Halves, Halves]:
        """Queries [T, N, D], and keys and values [M, T, D] from the cache."""
        case, gpu = self._case, self._gpu
        num_positions = case.first + case.num_tokens
        cache = PagedCache(gpu, num_positions, num_kv_heads=case.num_kv_heads, head_dim=case.head_dim)
        most_tokens = case.num_tokens + NUM_SPARE
        d_queries = gpu.empty(2 * most_tokens * case.num_heads * case.head_dim)
        rope = RopeArgs(gpu.upload(frequencies(case)), case.magnitude, case.rotary_dim, case.is_adjacent)
        norms = [
            Vector(gpu.upload(norm), TensorType.F32) if case.has_norms else Vector() for norm in self._norms
        ]
        args: list[Argument] = [pointer(gpu.upload(self._qkv)), c_int32(case.num_heads), *norms]
        args += [c_float(QUERY_EPS), c_float(KEY_EPS), rope, c_float(QUERY_SCALE), pointer(d_queries)]
        args += [cache.args, pointer(gpu.upload(self._positions.astype(np.int32)))]
        args += [pointer(upload_count(gpu, case.num_tokens))]
        num_all = case.num_heads + 2 * case.num_kv_heads
        gpu.launch("prefill_rope.cu", "rope", (most_tokens, -(-num_all // 8)), 256, args)
        keys, values = cache.read(slice(case.first, num_positions))
        queries = gpu.download(d_queries, (most_tokens, case.num_heads, case.head_dim), np.float16)
        assert is_poison(queries[case.num_tokens :])
        return queries[: case.num_tokens], keys, values

    def expected(self) -> tuple[Doubles, Doubles, Doubles]:
        case = self._case
        qkv, norms = self._qkv.astype(np.float64), self._norms.astype(np.float64)
        parts = np.split(qkv, [case.num_heads, case.num_heads + case.num_kv_heads], axis=1)
        queries, keys, values = parts
        if case.has_norms:
            queries, keys = rms_norm(queries, norms[0], QUERY_EPS), rms_norm(keys, norms[1], KEY_EPS)
        queries, keys = (turned(heads, case, self._positions) for heads in (queries, keys))
        return QUERY_SCALE * queries, keys.swapaxes(0, 1), values.swapaxes(0, 1)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_heads_are_normed_turned_and_cached(gpu: Gpu, case: Case) -> None:
    chunk = RotatedChunk(gpu, case)
    results = chunk.compute()

    for result, expected in zip(results, chunk.expected(), strict=True):
        assert nmse(result.astype(np.float32), expected) <= BAR


def test_rotation_repeats_bit_for_bit(gpu: Gpu) -> None:
    chunk = RotatedChunk(gpu, Case(has_norms=True, num_tokens=33))
    first = chunk.compute()

    for _ in range(20):
        for expected, result in zip(first, chunk.compute(), strict=True):
            np.testing.assert_array_equal(expected, result)
