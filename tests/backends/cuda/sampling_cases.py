"""Random cases for the device's sampler: every parameter, off, at its edges and between."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from backends.cuda.sampler import Method, SequenceState, initial_state
from domain.sampling import sample
from ports.sampling import SamplingParams


@dataclass(frozen=True, slots=True)
class Case:
    """What one choice depends on."""

    logits: NDArray[np.float32]
    history: list[int]
    params: SamplingParams
    step: int

    def seen(self) -> NDArray[np.bool_]:
        seen = np.zeros(len(self.logits), np.bool_)
        seen[self.history] = True
        return seen

    @property
    def method(self) -> Method:
        return Method.of(self.params)

    def state(self) -> SequenceState:
        """Of a sequence about to choose this token, in the middle of its answer."""
        state = initial_state(self.params, token_id=0, position=self.step, num_steps=self.step + 1)
        state.step = self.step
        return state

    def expected(self) -> int:
        return sample(self.logits, self.history, self.params, self.step)


def random_cases(seed: int, *, vocab_size: int, num_cases: int) -> Iterator[Case]:
    rng = np.random.default_rng(seed)
    for _ in range(num_cases):
        logits = _logits(rng, vocab_size)
        history = rng.integers(0, vocab_size, rng.integers(0, 60)).tolist()
        yield Case(logits, history, _params(rng, vocab_size), int(rng.integers(0, 10_000)))


def _logits(rng: Generator, vocab_size: int) -> NDArray[np.float32]:
    kind = rng.integers(0, 4)
    logits = rng.normal(0, rng.choice([0.3, 2.0, 5.0]), vocab_size)
    if kind == 0:  # ties everywhere
        logits = np.rint(4 * logits) / 4
    elif kind == 1:  # a few likely tokens far above the rest, as in text
        logits[rng.integers(0, vocab_size, 8)] += rng.uniform(5, 20, 8)
    elif kind == 2:
        logits[rng.random(vocab_size) < 0.3] = -np.inf
        logits[rng.integers(0, vocab_size)] = 1.0
    return logits.astype(np.float32)


def _params(rng: Generator, vocab_size: int) -> SamplingParams:
    return SamplingParams(
        seed=int(rng.integers(0, 2**64, dtype=np.uint64)),
        temperature=float(rng.choice([0.0, 1.0, 0.7, 1e-9, *rng.uniform(0.05, 2, 6)])),
        top_k=int(
            rng.choice([0, 0, 1, vocab_size, *rng.integers(1, 100, 4), rng.integers(1, vocab_size + 1)])
        ),
        top_p=float(rng.choice([1.0, 1.0, 0.0, 0.9, 1 - 1e-9, *rng.uniform(0, 1, 4)])),
        min_p=float(rng.choice([0.0, 0.0, 1.0, 0.05, rng.uniform(0, 1)])),
        repetition_penalty=float(rng.choice([1.0, 1.0, 0.0, 1.1, *rng.uniform(0, 2, 3)])),
    )
