"""A chunk's way to its experts and back, against float64."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from backends.cuda.prefill_buffers import PrefillBuffers
from backends.cuda.prefill_feed_forward import FeedForwardCalls
from backends.cuda.prefill_matmul import MatmulCalls, padded
from ports.model_description import ClampedSwiGlu, Experts
from ports.tensor_types import TensorType
from tests.kernels.device_weights import Doubles, RandomWeights, nmse, run
from tests.kernels.gpu import Gpu
from tests.kernels.prefill_rows import upload_rows

pytestmark = [pytest.mark.gpu, pytest.mark.req("M0-W-1430", "M0-W-1433", "M0-W-1435", "M0-W-1031")]

BAR = 1e-5
CHAIN_BAR = (
    3e-5  # three products in a row, each within 1e-5; MXFP4 is exact as bfloat16 and needs no such room
)
ALPHA, LIMIT = 1.702, 7.0

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


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

    def compute(
        self, tokens: slice | None = None, *, num_multiprocessors: int = 132
    ) -> tuple[Ints, Floats, Floats]:
        """Chosen experts and their shares, [T, A], and what is added to x, [T, H] with x."""
        tokens = tokens or slice(None)
        normed, x = self.normed[tokens], self._x[tokens]
        buffers = self._buffers(normed, x)
        matmul = MatmulCalls(self.weights, num_multiprocessors=num_multiprocessors)
        calls = FeedForwardCalls(self.weights, matmul, buffers)
        for call in calls.feed(self.experts, x.shape[1], len(x)):
            run(self._gpu, call)
        chosen_shape = len(x), self.experts.num_active
        return (
            self._gpu.download(buffers.d_chosen, chosen_shape, np.int32),
            self._gpu.download(buffers.d_shares, chosen_shape, np.float32),
            self._gpu.download(buffers.d_x, x.shape, np.float32),
        )

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

        gate, up = np.minimum(apply("gate", row), LIMIT), np.clip(apply("up", row), -LIMIT, LIMIT)
        return apply("down", (up + 1) * gate / (1 + np.exp(-ALPHA * gate)))

    def _buffers(self, normed: Floats, x: Floats) -> PrefillBuffers:
        gpu, experts = self._gpu, self.experts
        num_pairs = len(x) * experts.num_active
        widest = max(2 * experts.intermediate_size, x.shape[1])
        return PrefillBuffers(
            d_x=gpu.upload(x),
            d_normed=upload_rows(gpu, normed.astype(np.float64))[0],
            d_normed_exact=gpu.upload(normed),
            d_qkv=0,
            d_queries=0,
            d_mixed=0,
            d_wide=gpu.empty(4 * num_pairs * widest),
            d_inside=gpu.empty(2 * num_pairs * padded(experts.intermediate_size)),
            d_chosen=gpu.empty(4 * num_pairs),
            d_shares=gpu.empty(4 * num_pairs),
            d_counts=gpu.empty(4 * experts.num_experts),
            d_pairs=gpu.empty(4 * experts.num_experts * len(x)),
            d_frequencies={},
        )


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
    whole = chunk.compute(num_multiprocessors=1)[2]
    small = chunk.compute(num_multiprocessors=10**6)[2]
    pieces = [chunk.compute(slice(a, b))[2] for a, b in ((0, 1), (1, 40), (40, 150))]

    np.testing.assert_array_equal(whole, small)
    np.testing.assert_array_equal(whole, np.concatenate(pieces))


def test_experts_repeat_bit_for_bit(gpu: Gpu) -> None:
    chunk = ExpertChunk(gpu, num_tokens=60)
    first = chunk.compute()[2]

    for _ in range(20):
        np.testing.assert_array_equal(first, chunk.compute()[2])
