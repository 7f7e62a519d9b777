"""Tokens chosen on the device: the reference's, on the same logits and draws."""

import ctypes
from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from backends.cuda.kernel import pointer
from backends.cuda.sampler import (
    NO_TOKEN,
    Method,
    SampleArgs,
    SampleScratch,
    SequenceState,
    initial_state,
    sample_call,
)
from domain.sampling import sample, uniform
from ports.sampling import GREEDY, SamplingParams
from tests.backends.cuda.sampling_cases import Case, random_cases
from tests.backends.cuda.sampling_edges import BAD_LOGITS, EDGES, Edge
from tests.kernels.gpu import Gpu

pytestmark = [pytest.mark.gpu, pytest.mark.req("M0-W-1421", "M0-W-1430")]

RING_SIZE = 16


class Sampler:
    """One sequence's sampling on the device."""

    def __init__(self, gpu: Gpu, vocab_size: int) -> None:
        self.gpu = gpu
        self.vocab_size = vocab_size
        self.d_logits = gpu.empty(4 * vocab_size)
        self.d_seen = gpu.empty(vocab_size)
        self.d_state = gpu.empty(ctypes.sizeof(SequenceState))
        self.d_ring = gpu.empty(4 * RING_SIZE)
        self.d_scratch = gpu.empty(ctypes.sizeof(SampleScratch))
        gpu.fill(self.d_scratch, 0, ctypes.sizeof(SampleScratch))
        gpu.fill(self.d_seen, 0, vocab_size)

    def put(self, d_ptr: int, data: NDArray[np.generic] | ctypes.Structure) -> None:
        array = np.frombuffer(bytes(data), np.uint8) if isinstance(data, ctypes.Structure) else data
        self.gpu.stream.copy_to_device_async(d_ptr, array.ctypes.data, array.nbytes)
        self.gpu.stream.synchronize()

    def launch(self, method: Method, *, num_multiprocessors: int | None = None) -> None:
        args = SampleArgs(
            self.d_logits, self.d_seen, self.d_state, self.d_ring, self.d_scratch, RING_SIZE, self.vocab_size
        )
        available = self.gpu.context.properties.num_multiprocessors
        call = sample_call(method, args, num_multiprocessors=num_multiprocessors or available)
        source = call.source
        self.gpu.launch(
            source.file, source.name, call.grid, call.num_threads, call.args, cooperative=call.is_cooperative
        )

    def state(self) -> SequenceState:
        size_bytes = ctypes.sizeof(SequenceState)
        return SequenceState.from_buffer_copy(self.gpu.download(self.d_state, size_bytes, np.uint8).tobytes())

    def ring(self) -> list[int]:
        return [int(token) for token in self.gpu.download(self.d_ring, RING_SIZE, np.int32)]

    def is_scratch_clean(self) -> bool:
        size_bytes = ctypes.sizeof(SampleScratch)
        left = SampleScratch.from_buffer_copy(
            self.gpu.download(self.d_scratch, size_bytes, np.uint8).tobytes()
        )
        return left.best_rank == 0 == left.num_arrived and not any(bytes(left.histograms))

    def choose(self, case: Case, *, num_multiprocessors: int | None = None) -> int:
        """Put the case on the device, and take what its one step chooses."""
        self.put(self.d_logits, case.logits)
        self.put(self.d_seen, case.seen().astype(np.uint8))
        self.put(self.d_state, case.state())
        self.launch(case.method, num_multiprocessors=num_multiprocessors)
        return int(self.state().token)


def wrong_choices(sampler: Sampler, cases: Iterable[Case]) -> list[tuple[int, int, SamplingParams]]:
    chosen = ((case.expected(), sampler.choose(case), case.params) for case in cases)
    return [(expected, actual, params) for expected, actual, params in chosen if expected != actual]


@pytest.mark.parametrize(
    ("vocab_size", "num_cases"),
    [(1, 20), (96, 9000), (3001, 1000), (32064, 300), (151936, 100), (201088, 50)],
)
def test_ten_thousand_random_cases_end_as_the_reference_does(
    gpu: Gpu, vocab_size: int, num_cases: int
) -> None:
    """All of them: the arithmetic's own distance from the reference is below a billionth of the draws."""
    sampler = Sampler(gpu, vocab_size)

    assert [] == wrong_choices(sampler, random_cases(vocab_size, vocab_size=vocab_size, num_cases=num_cases))
    assert sampler.is_scratch_clean()


@pytest.mark.parametrize("edge", EDGES, ids=lambda edge: edge.name)
def test_at_its_edges_too(gpu: Gpu, edge: Edge) -> None:
    sampler = Sampler(gpu, len(edge.logits))

    assert [] == wrong_choices(sampler, edge.cases())


@pytest.mark.req("M0-W-1031")
@pytest.mark.parametrize("vocab_size", [96, 151936])
def test_neither_repetition_nor_the_number_of_blocks_changes_a_choice(gpu: Gpu, vocab_size: int) -> None:
    sampler = Sampler(gpu, vocab_size)
    for case in random_cases(7, vocab_size=vocab_size, num_cases=20):
        choices = {sampler.choose(case) for _ in range(20)}
        choices |= {sampler.choose(case, num_multiprocessors=n) for n in (1, 2, 7, 16, 33)}

        assert {case.expected()} == choices


@pytest.mark.parametrize("bad", BAD_LOGITS, ids=str)
@pytest.mark.parametrize("params", [GREEDY, SamplingParams(seed=0), SamplingParams(seed=0, top_k=2)])
def test_logits_that_are_not_finite_fail_the_sequence_and_leave_the_rest(
    gpu: Gpu, bad: list[float], params: SamplingParams
) -> None:
    sampler = Sampler(gpu, len(bad))
    sampler.put(sampler.d_logits, np.array(bad, np.float32))
    sampler.put(sampler.d_state, initial_state(params, token_id=2, position=5, num_steps=9))
    sampler.launch(Method.of(params))
    state = sampler.state()

    assert NO_TOKEN == sampler.ring()[0]
    assert (1, 2, 5, 0) == (state.failed, state.token, state.position, state.step)
    assert sampler.is_scratch_clean()

    sampler.put(sampler.d_logits, np.zeros(len(bad), np.float32))
    sampler.launch(Method.of(params))

    assert bytes(state) == bytes(sampler.state())  # a failed sequence stays where it is


@pytest.mark.req("M0-W-1030")
@pytest.mark.parametrize(
    "params",
    [
        SamplingParams(seed=0, temperature=0, repetition_penalty=1.7),
        SamplingParams(seed=2**64 - 1, temperature=1.2, repetition_penalty=1.7),
        SamplingParams(seed=3, temperature=1.2, top_k=40, top_p=0.9, min_p=0.02, repetition_penalty=1.7),
    ],
    ids=["greedy", "plain", "filtered"],
)
def test_fifty_steps_advance_the_state_and_fill_the_ring(gpu: Gpu, params: SamplingParams) -> None:
    sampler = Sampler(gpu, 500)
    all_logits = np.random.default_rng(4).normal(0, 2, (50, 500)).astype(np.float32)
    sampler.put(sampler.d_state, initial_state(params, token_id=9, position=30, num_steps=50))
    history: list[int] = []
    for step, logits in enumerate(all_logits):
        sampler.put(sampler.d_logits, logits)
        sampler.launch(Method.of(params))
        history.append(sample(logits, history, params, step))
        state = sampler.state()

        assert (history[-1], 31 + step, step + 1) == (state.token, state.position, state.step)
        assert history[-1] == sampler.ring()[step % RING_SIZE]

    assert sorted(set(history)) == np.flatnonzero(gpu.download(sampler.d_seen, 500, np.uint8)).tolist()


@pytest.mark.parametrize("method", Method)
def test_after_the_last_step_nothing_changes(gpu: Gpu, method: Method) -> None:
    sampler = Sampler(gpu, 50)
    sampler.put(sampler.d_logits, np.arange(50, dtype=np.float32))
    sampler.put(sampler.d_state, initial_state(SamplingParams(seed=0), token_id=1, position=2, num_steps=0))
    before = bytes(sampler.state())
    ring = sampler.ring()
    sampler.launch(method)

    assert before == bytes(sampler.state())
    assert ring == sampler.ring()
    assert not gpu.download(sampler.d_seen, 50, np.uint8).any()


@pytest.mark.req("M0-W-1030")
def test_the_draws_are_the_references_bit_for_bit(gpu: Gpu) -> None:
    seeds: Sequence[int] = [0, 1, 42, 0xDEADBEEF, 2**63, 2**64 - 1]
    d_seeds, d_out = gpu.upload(np.array(seeds, np.uint64)), gpu.empty(8 * 1000 * len(seeds))
    gpu.launch("philox_draws.cu", "philox_draws", len(seeds), 1000, [pointer(d_seeds), pointer(d_out)])
    expected = [[int(uniform(seed, step) * 2**53) for step in range(1000)] for seed in seeds]

    assert expected == gpu.download(d_out, (len(seeds), 1000), np.uint64).tolist()
