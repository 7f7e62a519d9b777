"""Decode attention against float64: heads, groups, windows, sinks, rotations, and contexts to 32k."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from backends.cuda.call import Call
from backends.cuda.compiler import KernelSource
from backends.cuda.decode_args import AttentionArgs, Vector
from backends.cuda.geometry import attention_geometry
from ports.model_description import Attention, Linear
from ports.model_file import TensorInfo
from ports.tensor_types import TensorType
from tests.kernels.device_weights import Doubles, from_int8_blocks, nmse, rms_norm, run
from tests.kernels.gpu import Gpu

pytestmark = [pytest.mark.gpu, pytest.mark.req("M0-W-1430", "M0-W-1810", "M0-W-1822")]

PAGE = 16
EPS = 1e-6
BAR = 1e-5  # FP16 keys and values included


@dataclass(frozen=True)
class Case:
    """One new position, `context` of them seen with it."""

    context: int = 300
    num_heads: int = 4
    num_kv_heads: int = 2
    head_dim: int = 64
    window: int = 0
    has_sinks: bool = False
    has_norms: bool = False
    rotary_dim: int = 0
    is_adjacent: bool = False


CASES = [
    Case(context=1),
    Case(context=2, has_sinks=True),
    Case(context=63),
    Case(context=65),
    *(Case(context=1025, num_heads=ratio * 2) for ratio in (1, 4, 7, 8)),
    *(Case(head_dim=size, num_heads=6, num_kv_heads=3) for size in (8, 16, 32, 80, 96, 112, 128, 256)),
    Case(context=3000, num_heads=8, head_dim=256),  # more of the output than threads
    Case(context=8000, window=128, has_sinks=True, num_heads=64, num_kv_heads=8),
    Case(context=100, window=128, has_sinks=True),
    Case(context=4096, num_heads=32, num_kv_heads=32, head_dim=96, window=2047),
    Case(context=32_768, num_heads=14, num_kv_heads=2),
    Case(context=32_768, num_heads=32, num_kv_heads=8, head_dim=128),
    Case(has_norms=True, rotary_dim=64, head_dim=64),
    Case(rotary_dim=64, is_adjacent=True),
    Case(rotary_dim=32, head_dim=80),
]


@dataclass
class Inputs:
    """Random numbers of a case; keys and values are such as FP16 holds."""

    queries: Doubles
    key: Doubles
    value: Doubles
    past_keys: Doubles  # [N, context - 1, D]
    past_values: Doubles
    sinks: Doubles
    query_norm: Doubles
    key_norm: Doubles
    angles: Doubles


def inputs_of(case: Case) -> Inputs:
    rng = np.random.default_rng(case.context)
    n, d, past = case.num_kv_heads, case.head_dim, case.context - 1

    def normal(*shape: int) -> Doubles:
        return rng.standard_normal(shape).astype(np.float32).astype(np.float64)

    def halves(*shape: int) -> Doubles:
        return rng.standard_normal(shape).astype(np.float16).astype(np.float64)

    return Inputs(
        normal(case.num_heads, d) * 2,
        normal(n, d),
        normal(n, d),
        halves(n, past, d),
        halves(n, past, d),
        normal(case.num_heads),
        1 + normal(d) / 8,
        1 + normal(d) / 8,
        rng.uniform(-np.pi, np.pi, case.rotary_dim // 2),
    )


def rotate(heads: Doubles, case: Case, angles: Doubles) -> Doubles:
    if not case.rotary_dim:
        return heads
    pairs = case.rotary_dim // 2
    first = np.arange(pairs) * (2 if case.is_adjacent else 1)
    second = first + (1 if case.is_adjacent else pairs)
    a, b, turned = heads[:, first], heads[:, second], heads.copy()
    turned[:, first] = a * np.cos(angles) - b * np.sin(angles)
    turned[:, second] = a * np.sin(angles) + b * np.cos(angles)
    return turned


def prepared(case: Case, inputs: Inputs) -> tuple[Doubles, Doubles]:
    """Queries and the new keys, normed and turned."""
    queries, keys = inputs.queries, inputs.key
    if case.has_norms:
        queries, keys = rms_norm(queries, inputs.query_norm, EPS), rms_norm(keys, inputs.key_norm, EPS)
    return rotate(queries, case, inputs.angles), rotate(keys, case, inputs.angles)


def expected_of(case: Case, inputs: Inputs) -> Doubles:
    queries, new_keys = prepared(case, inputs)
    keys = np.concatenate([inputs.past_keys, new_keys[:, None]], axis=1)
    values = np.concatenate([inputs.past_values, inputs.value[:, None]], axis=1)
    first = max(case.context - case.window, 0) if case.window else 0
    out = np.empty((case.num_heads, case.head_dim))
    for head in range(case.num_heads):
        kv = head // (case.num_heads // case.num_kv_heads)
        scores = keys[kv, first:] @ queries[head] / np.sqrt(case.head_dim)
        logits = np.append(scores, inputs.sinks[head]) if case.has_sinks else scores
        weights = np.exp(scores - logits.max()) / np.exp(logits - logits.max()).sum()
        out[head] = weights @ values[kv, first:]
    return out


class Cache:
    """A pool of two layers' pages in shuffled order, the second layer's filled with a case's past."""

    def __init__(self, gpu: Gpu, case: Case, inputs: Inputs) -> None:
        num_pages = -(-case.context // PAGE)
        self.table = np.random.default_rng(1).permutation(num_pages + 3)[:num_pages].astype(np.int32)
        n, d = case.num_kv_heads, case.head_dim
        self.layer_bytes = 2 * 2 * n * PAGE * d
        self.page_bytes = 2 * self.layer_bytes + 256
        self._shape = (2, n, PAGE, d)
        pool = np.full((num_pages + 3, self.page_bytes), 0xFF, np.uint8)  # NaN wherever nothing was written
        for kind, past in enumerate((inputs.past_keys, inputs.past_values)):
            for position in range(case.context - 1):
                page = self._layer(pool[self.table[position // PAGE]])
                page[kind, :, position % PAGE] = past[:, position]
        self.d_pool, self._num_pages, self._gpu = gpu.upload(pool), num_pages, gpu
        self.d_table = gpu.upload(self.table)

    def new_position(self, position: int) -> Doubles:
        """[2, N, D]: the key and the value written for it."""
        shape = (self._num_pages + 3, self.page_bytes)
        pool = self._gpu.download(self.d_pool, shape, np.uint8)
        page = self._layer(pool[self.table[position // PAGE]])
        return page[:, :, position % PAGE].astype(np.float64)

    def _layer(self, page: np.ndarray) -> np.ndarray:
        return page[self.layer_bytes : 2 * self.layer_bytes].view(np.float16).reshape(self._shape)


def attend(gpu: Gpu, case: Case, inputs: Inputs, cache: Cache, d_out: int, *, as_int8: bool = False) -> Call:
    def vector(values: Doubles, is_there: bool) -> Vector:
        return Vector(gpu.upload(values.astype(np.float32)) if is_there else 0, TensorType.F32)

    none = Linear(TensorInfo("none", (1, 1), TensorType.F32, 0, 4))
    shape = Attention(case.num_heads, case.num_kv_heads, case.head_dim, none, none, none, none, rope=None)
    geometry = attention_geometry(shape, gpu.context.properties.num_multiprocessors)
    qkv = np.concatenate([inputs.queries.ravel(), inputs.key.ravel(), inputs.value.ravel()])
    turns = np.stack([np.cos(inputs.angles), np.sin(inputs.angles)], axis=1).astype(np.float32)
    args = AttentionArgs(
        d_qkv=gpu.upload(qkv.astype(np.float32)),
        d_position=gpu.upload(np.array([case.context - 1], np.int32)),
        d_page_table=cache.d_table,
        d_pool=cache.d_pool,
        page_bytes=cache.page_bytes,
        layer_bytes=cache.layer_bytes,
        d_rotation=gpu.upload(turns) if case.rotary_dim else 0,
        rotary_dim=case.rotary_dim,
        is_adjacent=case.is_adjacent,
        query_norm=vector(inputs.query_norm, case.has_norms),
        key_norm=vector(inputs.key_norm, case.has_norms),
        norm_eps=EPS,
        sinks=vector(inputs.sinks, case.has_sinks),
        window=case.window,
        num_kv_heads=case.num_kv_heads,
        group_size=case.num_heads // case.num_kv_heads,
        d_partial=gpu.empty(4 * geometry.partial_floats),
        d_num_arrived=gpu.upload(np.zeros(geometry.num_blocks, np.int32)),
        d_out=d_out,
    )
    return Call(
        KernelSource(
            "decode_attention.cu",
            f"decode_attention<{case.head_dim}, {geometry.heads}, {str(as_int8).lower()}, "
            f"{geometry.num_warps}, {geometry.num_splits}, {geometry.num_stages}>",
        ),
        (geometry.num_blocks, geometry.num_splits),
        32 * geometry.num_warps,
        (args,),
        geometry.shared_bytes,
    )


@pytest.mark.parametrize("case", CASES, ids=str)
def test_attention_of_one_new_position(gpu: Gpu, case: Case) -> None:
    inputs = inputs_of(case)
    cache = Cache(gpu, case, inputs)
    d_out = gpu.empty(4 * case.num_heads * case.head_dim)

    run(gpu, attend(gpu, case, inputs, cache, d_out))

    out = gpu.download(d_out, (case.num_heads, case.head_dim), np.float32)
    assert nmse(out, expected_of(case, inputs)) < BAR
    written = cache.new_position(case.context - 1)
    expected_cache = np.stack([prepared(case, inputs)[1], inputs.value])
    np.testing.assert_allclose(written, expected_cache, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("num_positions", [100, 3000])
@pytest.mark.parametrize("head_dim", [64, 96, 128])
def test_the_output_as_int8_blocks(gpu: Gpu, num_positions: int, head_dim: int) -> None:
    case = Case(num_positions, num_heads=14, num_kv_heads=2, head_dim=head_dim)
    inputs = inputs_of(case)
    size = case.num_heads * head_dim
    d_out = gpu.empty(4 * size)

    run(gpu, attend(gpu, case, inputs, Cache(gpu, case, inputs), d_out, as_int8=True))

    out = from_int8_blocks(gpu.download(d_out, size // 32 * 40, np.uint8))
    assert nmse(out, expected_of(case, inputs).ravel()) < 1e-4


@pytest.mark.req("M0-W-1031")
def test_attention_is_the_same_to_the_bit_every_time(gpu: Gpu) -> None:
    case = replace(CASES[-5], context=5000)
    inputs = inputs_of(case)
    cache = Cache(gpu, case, inputs)
    size = case.num_heads * case.head_dim
    d_out = gpu.empty(4 * size)
    call = attend(gpu, case, inputs, cache, d_out)
    results = set()
    for _ in range(20):
        run(gpu, call)
        results.add(gpu.download(d_out, size, np.float32).tobytes())
        gpu.fill(d_out, 0xFF, 4 * size)

    assert 1 == len(results)
