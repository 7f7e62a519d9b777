"""A chunk's way to its experts and back, against float64."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import DTypeLike, NDArray

from backends.cuda.prefill_args import ExpertListsArgs, PanelsArgs
from backends.cuda.prefill_buffers import PrefillBuffers, sorted_rows
from backends.cuda.prefill_feed_forward import FeedForwardCalls
from backends.cuda.prefill_matmul import ExpertPairs, Tokens
from ports.model_description import ClampedSwiGlu, ExpertLinear, Experts, Linear
from ports.tensor_types import TensorType
from tests.backends.cuda.every_kernel import MATMULS
from tests.kernels.device_weights import Doubles, RandomWeights, matmul_calls, nmse, run
from tests.kernels.forced_tile import TILE_NUMBERS, tile_number
from tests.kernels.gpu import Gpu
from tests.kernels.prefill_rows import (
    Indices,
    download_rows,
    empty_rows,
    is_poison,
    upload_count,
    upload_rows,
)

pytestmark = [pytest.mark.gpu, pytest.mark.req("M0-W-1430", "M0-W-1433", "M0-W-1435", "M0-W-1031")]

BAR = 1e-5
CHAIN_BAR = (
    3e-5  # three products in a row, each within 1e-5; MXFP4 is exact as bfloat16 and needs no such room
)
ALPHA, LIMIT = 1.702, 7.0
NUM_SPARE = 3  # tokens that the launches serve beyond those that there are

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


def clamped_swiglu(gate: Doubles, up: Doubles) -> Doubles:
    gate, up = np.minimum(gate, LIMIT), np.clip(up, -LIMIT, LIMIT)
    y: Doubles = (up + 1) * gate / (1 + np.exp(-ALPHA * gate))
    return y


class ExpertChunk:
    """One feed-forward of random experts over random rows."""

    def __init__(
        self,
        gpu: Gpu,
        *,
        num_tokens: int = 33,
        hidden_size: int = 96,
        intermediate_size: int = 64,
        num_experts: int = 8,
        num_active: int = 2,
        router_type: TensorType = TensorType.F32,
        expert_type: TensorType = TensorType.MXFP4,
        has_router_bias: bool = True,
    ) -> None:
        self._gpu = gpu
        self.weights = weights = RandomWeights(gpu, seed=num_tokens)
        outwards = num_experts, intermediate_size, hidden_size, expert_type
        self.experts = Experts(
            num_experts,
            num_active,
            intermediate_size,
            router=weights.linear(num_experts, hidden_size, router_type, has_bias=has_router_bias),
            gate=weights.expert_linear(*outwards),
            up=weights.expert_linear(*outwards),
            down=weights.expert_linear(num_experts, hidden_size, intermediate_size, expert_type),
            activation=ClampedSwiGlu(ALPHA, LIMIT),
        )
        rng = np.random.default_rng(num_tokens)
        self.normed = (3 * rng.standard_normal((num_tokens, hidden_size))).astype(np.float32)
        self._x = rng.standard_normal((num_tokens, hidden_size)).astype(np.float32)

    def compute(self, tokens: slice | None = None) -> tuple[Ints, Floats, Floats]:
        """Chosen experts and their shares, [T, A], and what is added to x, [T, H] with x."""
        tokens = tokens or slice(None)
        normed, x = self.normed[tokens], self._x[tokens]
        buffers = self._buffers(normed, x)
        calls = FeedForwardCalls(self.weights, matmul_calls(self._gpu, self.weights), buffers)
        num_tokens = Tokens(len(x) + NUM_SPARE, upload_count(self._gpu, len(x)))
        for call in calls.feed(self.experts, x.shape[1], num_tokens):
            run(self._gpu, call)
        return (
            self._download(buffers.d_chosen, (len(x), self.experts.num_active), np.int32),
            self._download(buffers.d_shares, (len(x), self.experts.num_active), np.float32),
            self._download(buffers.d_x, x.shape, np.float32),
        )

    def compute_by(self, number: int, tokens: slice | None = None) -> Floats:
        with tile_number(number):
            return self.compute(tokens)[2]

    def expected(self) -> tuple[Ints, Doubles, Doubles]:
        """The router reads exact rows, the experts rounded ones."""
        experts, rows = self.experts, self.normed.astype(np.float64)
        rounded = upload_rows(self._gpu, rows)[1]
        scores = np.array([self.weights.apply(experts.router, row) for row in rows])
        chosen = np.argsort(-scores, axis=1, kind="stable")[:, : experts.num_active]
        shares = np.exp(np.take_along_axis(scores, chosen, axis=1))
        shares /= shares.sum(axis=1, keepdims=True)
        y = self._x.astype(np.float64)
        for token, row in enumerate(rounded):
            for expert, share in zip(chosen[token], shares[token], strict=True):
                y[token] += share * self._expert(int(expert), row)
        return chosen.astype(np.int32), shares, y

    def _expert(self, expert: int, row: Doubles) -> Doubles:
        values, experts = self.weights.values, self.experts

        def apply(name: str, x: Doubles) -> Doubles:
            linear = {"gate": experts.gate, "up": experts.up, "down": experts.down}[name]
            y: Doubles = values[linear.weight.name][expert] @ x + values[linear.bias.name][expert]
            return y

        return apply("down", clamped_swiglu(apply("gate", row), apply("up", row)))

    def _download(self, d_ptr: int, shape: tuple[int, int], dtype: DTypeLike) -> NDArray[Any]:
        """Of tokens that there are; nobody has written to those of others."""
        rows = self._gpu.download(d_ptr, (shape[0] + NUM_SPARE, shape[1]), dtype)
        assert is_poison(rows[shape[0] :])
        return rows[: shape[0]]

    def _buffers(self, normed: Floats, x: Floats) -> PrefillBuffers:
        gpu, experts = self._gpu, self.experts
        most_tokens = len(x) + NUM_SPARE
        num_pairs = most_tokens * experts.num_active
        num_sorted = sorted_rows(experts, most_tokens)
        poison = np.full((NUM_SPARE, x.shape[1]), 0xFFFFFFFF, np.uint32).view(np.float32)
        normed_rows, _ = upload_rows(gpu, normed.astype(np.float64), num_spare=NUM_SPARE)
        return PrefillBuffers(
            num_tokens=most_tokens,
            d_x=gpu.upload(np.concatenate([x, poison])),
            d_normed=normed_rows.d_data,
            d_normed_exact=gpu.upload(normed),
            d_qkv=0,
            d_queries=0,
            d_mixed=0,
            d_inside=empty_rows(gpu, num_sorted, experts.intermediate_size).d_data,
            d_sorted=empty_rows(gpu, num_sorted, x.shape[1]).d_data,
            d_given=gpu.empty(4 * num_pairs * x.shape[1]),
            d_chosen=gpu.empty(4 * num_pairs),
            d_shares=gpu.empty(4 * num_pairs),
            d_counts=gpu.empty(4 * experts.num_experts),
            d_starts=gpu.empty(4 * experts.num_experts),
            d_pairs=gpu.empty(4 * (num_pairs + 8 * experts.num_experts)),
            d_frequencies={},
        )


class RoutedRows:
    """Pairs sorted by the experts that their tokens chose, and what those make of them.

    The first expert is nobody's, the last everybody's. Between the experts' pairs is poison.
    """

    def __init__(
        self, gpu: Gpu, *, num_tokens: int, num_rows: int, num_columns: int, tensor_type: TensorType
    ) -> None:
        self._gpu = gpu
        self._weights = weights = RandomWeights(gpu, seed=14)
        self._num_rows = num_rows
        rng = np.random.default_rng(num_tokens)
        num_experts, num_active = 5, 2
        others = rng.integers(1, num_experts - 1, num_tokens)
        self._chosen = np.stack([others, np.full(num_tokens, num_experts - 1)], axis=1).ravel()
        gate, up, self._one = (
            weights.expert_linear(num_experts, num_rows, num_columns, tensor_type) for _ in range(3)
        )
        self._experts = Experts(
            num_experts,
            num_active,
            num_rows,
            router=Linear(weights.tensor((num_experts, num_columns))),
            gate=gate,
            up=up,
            down=self._one,
            activation=ClampedSwiGlu(ALPHA, LIMIT),
        )
        self._places, lists = _sorted(gpu, self._chosen, num_experts)
        self._pairs = ExpertPairs(lists, num_tokens + NUM_SPARE, num_active)
        self._calls = matmul_calls(gpu, weights)
        self._x = rng.standard_normal((len(self._chosen), num_columns))

    def widen(self, scales: Doubles) -> None:
        """Multiply each pair's row."""
        self._x *= scales[:, None]

    def swiglu(self, number: int) -> Doubles:
        """[P, N]"""
        x, _ = self._upload()
        y = empty_rows(self._gpu, x.rows, self._num_rows)
        with tile_number(number):
            run(self._gpu, self._calls.expert_swiglu(self._experts, x, y, self._pairs))
        return download_rows(self._gpu, y, self._places)

    def expected_swiglu(self) -> Doubles:
        _, x = self._upload()
        return clamped_swiglu(self._applied(self._experts.gate, x), self._applied(self._experts.up, x))

    def product(self, number: int) -> Floats:
        """[P, N]"""
        x, _ = self._upload()
        num_pairs = len(self._chosen)
        d_y = self._gpu.empty(4 * (num_pairs + NUM_SPARE) * self._num_rows)
        with tile_number(number):
            run(self._gpu, self._calls.expert(self._one, x, d_y, self._pairs))
        y = self._gpu.download(d_y, (num_pairs + NUM_SPARE, self._num_rows), np.float32)
        assert is_poison(y[num_pairs:])
        return y[:num_pairs]

    def expected_product(self) -> Doubles:
        return self._applied(self._one, self._upload()[1])

    def _upload(self) -> tuple[PanelsArgs, Doubles]:
        """With room for whole tiles after the last pair."""
        return upload_rows(self._gpu, self._x, num_spare=128, places=self._places)

    def _applied(self, linear: ExpertLinear, x: Doubles) -> Doubles:
        """Of each pair by its expert."""
        weight, bias = self._weights.values[linear.weight.name], self._weights.values[linear.bias.name]
        y = np.empty((len(x), self._num_rows))
        for expert in range(len(weight)):
            own = self._chosen == expert
            y[own] = x[own] @ weight[expert].T + bias[expert]
        return y


def _sorted(gpu: Gpu, chosen: NDArray[np.int64], num_experts: int) -> tuple[Indices, ExpertListsArgs]:
    """The place of each pair, and the lists on the device: each expert's begin at a multiple of 8."""
    counts = np.bincount(chosen, minlength=num_experts)
    starts = np.concatenate([[0], np.cumsum(-(-counts // 8) * 8)])
    places = np.empty(len(chosen), np.int64)
    for expert in range(num_experts):
        places[chosen == expert] = starts[expert] + np.arange(counts[expert])
    pairs = np.full(starts[-1], -(2**30), np.int32)  # between the lists is nothing to read
    pairs[places] = np.arange(len(chosen))
    lists = [array.astype(np.int32) for array in (counts, starts[:-1], pairs)]
    return places, ExpertListsArgs(*map(gpu.upload, lists))


MakeChunk = Callable[[Gpu], ExpertChunk]

CASES: dict[str, MakeChunk] = {
    "one token": lambda gpu: ExpertChunk(gpu, num_tokens=1),
    "few tokens": lambda gpu: ExpertChunk(gpu, num_tokens=5, num_active=4),
    "many tokens": lambda gpu: ExpertChunk(gpu, num_tokens=300, num_active=4),
    "all active": lambda gpu: ExpertChunk(gpu, num_experts=4, num_active=4),
    "one active": lambda gpu: ExpertChunk(gpu, num_active=1),
    "40 experts, ragged": lambda gpu: ExpertChunk(gpu, num_experts=40, num_active=5, hidden_size=160),
    "Q8_0": lambda gpu: ExpertChunk(gpu, expert_type=TensorType.Q8_0),
    "F16": lambda gpu: ExpertChunk(gpu, expert_type=TensorType.F16, hidden_size=77, intermediate_size=50),
    "quantized router": lambda gpu: ExpertChunk(gpu, router_type=TensorType.Q4_0),
    "F16 router": lambda gpu: ExpertChunk(gpu, router_type=TensorType.F16),
    "as GPT-OSS": lambda gpu: ExpertChunk(
        gpu, num_tokens=20, hidden_size=2880, intermediate_size=2880, num_experts=8, num_active=4
    ),
}


@pytest.mark.parametrize("make", CASES.values(), ids=CASES)
def test_experts(gpu: Gpu, make: MakeChunk) -> None:
    chunk = make(gpu)
    chosen, shares, y = chunk.compute()
    expected_chosen, expected_shares, expected = chunk.expected()

    np.testing.assert_array_equal(expected_chosen, chosen)
    np.testing.assert_allclose(shares, expected_shares, rtol=1e-5)
    is_exact = chunk.experts.gate.weight.type is TensorType.MXFP4
    assert nmse(y, expected) <= (BAR if is_exact else CHAIN_BAR)


@pytest.mark.parametrize("content", [0.0, np.nan], ids=str)
def test_of_equal_logits_the_lower_expert_wins(gpu: Gpu, content: float) -> None:
    chunk = ExpertChunk(gpu, num_tokens=7, num_experts=40, num_active=3, has_router_bias=False)
    chunk.normed[:] = content
    chosen, _, _ = chunk.compute()

    assert [[0, 1, 2]] * 7 == chosen.tolist()


def test_every_tile_and_every_cut_gives_the_same(gpu: Gpu) -> None:
    chunk = ExpertChunk(gpu, num_tokens=150, num_active=4)
    whole = chunk.compute_by(0)

    for number in TILE_NUMBERS:
        pieces = [chunk.compute_by(number, slice(a, b)) for a, b in ((0, 1), (1, 40), (40, 150))]
        np.testing.assert_array_equal(whole, chunk.compute_by(number))
        np.testing.assert_array_equal(whole, np.concatenate(pieces))


@pytest.mark.parametrize(
    ("num_tokens", "num_rows", "num_columns"), [(1, 300, 256), (40, 65, 512), (150, 260, 256)]
)
@pytest.mark.parametrize("tensor_type", TensorType, ids=lambda tensor_type: tensor_type.name)
def test_every_tile_gives_each_pair_what_its_expert_makes_of_it(
    gpu: Gpu, tensor_type: TensorType, num_tokens: int, num_rows: int, num_columns: int
) -> None:
    gpu.compile(
        *((source.file, source.name) for source in MATMULS if source.file == "prefill_expert_matmul.cu")
    )
    rows = RoutedRows(
        gpu, num_tokens=num_tokens, num_rows=num_rows, num_columns=num_columns, tensor_type=tensor_type
    )
    insides = [rows.swiglu(number) for number in TILE_NUMBERS]
    products = [rows.product(number) for number in TILE_NUMBERS]

    assert nmse(insides[0].astype(np.float32), rows.expected_swiglu()) <= BAR
    assert nmse(products[0], rows.expected_product()) <= BAR
    for inside, product in zip(insides, products, strict=True):
        np.testing.assert_array_equal(insides[0], inside)
        np.testing.assert_array_equal(products[0], product)


@pytest.mark.parametrize("number", TILE_NUMBERS)
def test_from_one_end_of_the_sigmoid_to_the_limits(gpu: Gpu, number: int) -> None:
    """Each pair by itself: small ones would not be noticed beside large ones."""
    rows = RoutedRows(gpu, num_tokens=20, num_rows=300, num_columns=512, tensor_type=TensorType.BF16)
    rows.widen(np.geomspace(0.1, 100.0, 40))
    expected = rows.expected_swiglu()
    assert expected.max() == (LIMIT + 1) * LIMIT / (1 + np.exp(-ALPHA * LIMIT))

    for y, expected_y in zip(rows.swiglu(number), expected, strict=True):
        assert nmse(y.astype(np.float32), expected_y) <= BAR


def test_experts_repeat_bit_for_bit(gpu: Gpu) -> None:
    chunk = ExpertChunk(gpu, num_tokens=60)
    first = chunk.compute()[2]

    for _ in range(20):
        np.testing.assert_array_equal(first, chunk.compute()[2])
