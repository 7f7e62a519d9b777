"""A model whose answers are written by the test, with a real account of its pages."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from domain.errors import VramExhausted
from ports.loaded_model import SequenceId, StepOutput
from ports.memory import MemoryReport
from ports.sampling import SamplingParams

_PAGE_BYTES = 100


class ScriptedModel:
    """Every sequence answers with `answer`, over and over; `before_step` may raise or wait."""

    def __init__(
        self,
        answer: Iterable[int] = b"abc",
        *,
        before_step: Callable[[int], None] = lambda _: None,
        max_open: int = 8,
    ) -> None:
        self._answer = list(answer)
        self._before_step = before_step
        self._max_open = max_open
        self._next_id = 0
        self.num_steps = 0
        self.open: dict[SequenceId, Iterator[int]] = {}
        self.resident = True
        self.closed = False

    def open_sequence(
        self,
        prompt_ids: Sequence[int],
        sampling: SamplingParams,  # noqa: ARG002 the script is the answer whatever the sampling
        *,
        max_tokens: int,
    ) -> SequenceId:
        assert prompt_ids
        assert max_tokens >= 1
        if len(self.open) >= self._max_open:
            raise VramExhausted(required_bytes=_PAGE_BYTES, available_bytes=0)
        self._next_id += 1
        sequence_id = SequenceId(self._next_id)
        self.open[sequence_id] = self._forever()
        return sequence_id

    def step(self) -> Sequence[StepOutput]:
        step, self.num_steps = self.num_steps, self.num_steps + 1
        self._before_step(step)
        return [StepOutput(sequence_id, next(answer)) for sequence_id, answer in self.open.items()]

    def close_sequence(self, sequence_id: SequenceId) -> None:
        self.open.pop(sequence_id, None)

    def score(self, token_ids: Sequence[int]) -> NDArray[np.float32]:
        return np.zeros(len(token_ids) - 1, np.float32)

    def memory(self) -> MemoryReport:
        return MemoryReport(
            weights_bytes=1000,
            kv_cache_bytes=_PAGE_BYTES * len(self.open),
            scratch_bytes=0,
            free_bytes=10_000,
        )

    def check_residency(self) -> bool:
        return self.resident

    def close(self) -> None:
        self.closed = True

    def _forever(self) -> Iterator[int]:
        while True:
            yield from self._answer
