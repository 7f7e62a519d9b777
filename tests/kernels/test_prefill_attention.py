"""Attention of a chunk against float64: heads, groups, windows, sinks, contexts to 32k, and how it is cut."""

from collections.abc import Iterator
from ctypes import c_int32
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest

from backends.cuda.decode_args import Vector
from backends.cuda.kernel import Argument, pointer
from backends.cuda.prefill_attention import attention_shared_bytes
from ports.tensor_types import TensorType
from tests.kernels.device_weights import Doubles, nmse
from tests.kernels.gpu import Gpu
from tests.kernels.paged_cache import PagedCache
from tests.kernels.prefill_rows import download_rows, empty_rows, poison_rows, upload_count

pytestmark = [pytest.mark.gpu, pytest.mark.req("M0-W-1430", "M0-W-1810", "M0-W-1822", "M0-W-1031")]

BAR = 1e-5  # bfloat16 results cost about 1.5e-6


@dataclass(frozen=True)
class Case:
    """A chunk of `num_tokens` after `past` positions."""

    num_tokens: int = 70
    past: int = 0
    num_heads: int = 2
    num_kv_heads: int = 1
    head_dim: int = 64
    window: int = 0
    has_sinks: bool = False
    num_spare: int = 70  # tokens that the launch serves beyond those that there are: a block and more


CASES = [
    Case(num_tokens=1),
    Case(num_tokens=1, num_spare=0),
    Case(num_tokens=128, num_spare=0),
    Case(num_tokens=1, past=64),
    Case(num_tokens=17, past=47, has_sinks=True),
    Case(num_tokens=64, past=64),
    Case(num_tokens=129, past=31),
    *(Case(num_heads=2 * ratio, num_kv_heads=2, past=33) for ratio in (1, 4, 7, 8)),
    *(Case(head_dim=size, past=70) for size in (8, 16, 24, 72, 80, 96, 112, 128, 256)),
    Case(num_tokens=100, past=200, window=1),
    Case(num_tokens=100, past=200, window=5, has_sinks=True),
    Case(num_tokens=150, past=10, window=64),
    Case(num_tokens=130, past=1000, window=128, has_sinks=True),
    Case(num_tokens=4, past=4, window=128),
    Case(num_tokens=512, past=3584, num_heads=7, head_dim=64),
    Case(num_tokens=100, past=32_668, num_heads=4, head_dim=128),
    Case(num_tokens=65, past=32_000, num_heads=8, window=2047, head_dim=96),
]


class ChunkAttention:
    """Random queries, keys and values of a case; scores are spread widely enough that a softmax matters."""

    def __init__(self, gpu: Gpu, case: Case) -> None:
        rng = np.random.default_rng(case.past + case.head_dim)
        self._gpu, self._case = gpu, case
        shape = case.num_kv_heads, case.past + case.num_tokens, case.head_dim
        self._keys, self._values = rng.standard_normal((2, *shape)).astype(np.float16)
        queries = rng.standard_normal((case.num_tokens, case.num_heads, case.head_dim))
        self._queries = (3 * queries / np.sqrt(case.head_dim)).astype(np.float16)
        self._sinks = (2 + rng.standard_normal(case.num_heads)).astype(np.float32)
        self._cache = PagedCache(gpu, shape[1], num_kv_heads=case.num_kv_heads, head_dim=case.head_dim)

    def compute(self, tokens: slice | None = None) -> Doubles:
        """[tokens, N * D] of a chunk that has only these tokens, and after which nothing is cached yet."""
        case, gpu = self._case, self._gpu
        tokens = tokens or slice(0, case.num_tokens)
        stop = case.past + tokens.stop
        num_tokens, width = tokens.stop - tokens.start, case.num_heads * case.head_dim
        self._cache.write(self._keys[:, :stop], self._values[:, :stop])
        sinks = Vector(gpu.upload(self._sinks), TensorType.F32) if case.has_sinks else Vector()
        most_tokens = num_tokens + case.num_spare
        y = empty_rows(gpu, most_tokens, width)
        positions = np.arange(case.past + tokens.start, stop, dtype=np.int32)
        args: list[Argument] = [pointer(gpu.upload(self._queries[tokens])), self._cache.args]
        args += [pointer(gpu.upload(positions)), pointer(upload_count(gpu, num_tokens))]
        args += [c_int32(case.num_heads), c_int32(case.window), sinks, y]
        poison_rows(gpu, y)
        gpu.launch(
            "prefill_attention.cu",
            f"attention<{case.head_dim}>",
            (-(-most_tokens // 64), case.num_heads),
            128,
            args,
            shared_bytes=attention_shared_bytes(case.head_dim),
        )
        return download_rows(gpu, y, num_tokens)

    def set_sinks(self, logit: float) -> None:
        self._sinks[:] = logit

    def expected(self) -> Doubles:
        return np.stack(list(self._expected_heads()), axis=1).reshape(self._case.num_tokens, -1)

    def _expected_heads(self) -> Iterator[Doubles]:
        case = self._case
        seen = np.arange(case.past + case.num_tokens)
        at = np.arange(case.past, case.past + case.num_tokens)[:, None]
        is_hidden = seen > at
        if case.window:
            is_hidden |= seen <= at - case.window
        for head in range(case.num_heads):
            kv_head = head // (case.num_heads // case.num_kv_heads)
            scores = self._queries[:, head].astype(np.float64) @ self._keys[kv_head].astype(np.float64).T
            scores[is_hidden] = -np.inf
            weights = np.exp(scores)
            total = weights.sum(axis=1) + (np.exp(self._sinks[head]) if case.has_sinks else 0.0)
            yield weights @ self._values[kv_head].astype(np.float64) / total[:, None]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_attention_of_a_chunk(gpu: Gpu, case: Case) -> None:
    attention = ChunkAttention(gpu, case)

    assert nmse(attention.compute().astype(np.float32), attention.expected()) <= BAR


@pytest.mark.parametrize(
    "case",
    [Case(num_tokens=200), Case(num_tokens=200, past=50, window=30, has_sinks=True, head_dim=128)],
    ids=str,
)
def test_a_token_does_not_depend_on_how_a_prompt_is_cut(gpu: Gpu, case: Case) -> None:
    attention = ChunkAttention(gpu, case)
    whole = attention.compute()

    cuts = [0, 1, 17, 70, 71, 150, 200]
    pieces = [attention.compute(slice(*cut)) for cut in pairwise(cuts)]
    np.testing.assert_array_equal(whole, np.concatenate(pieces))


@pytest.mark.parametrize("head_dim", [64, 128, 256])
def test_attention_repeats_bit_for_bit(gpu: Gpu, head_dim: int) -> None:
    attention = ChunkAttention(gpu, Case(num_tokens=150, past=100, num_heads=8, head_dim=head_dim))
    first = attention.compute()

    for _ in range(20):
        np.testing.assert_array_equal(first, attention.compute())


def test_a_sink_that_outweighs_everything_leaves_nothing(gpu: Gpu) -> None:
    attention = ChunkAttention(gpu, Case(num_tokens=3, has_sinks=True))
    attention.set_sinks(300.0)

    assert not attention.compute().any()
