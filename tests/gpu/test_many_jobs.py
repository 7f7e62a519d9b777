"""Thousands of short jobs, some left early, give back all that they took."""

import random

import pytest

from domain.memory_plan import PAGE_TOKENS
from ports.loaded_model import LoadedModel, SequenceId
from ports.sampling import GREEDY, SamplingParams
from tests.golden.oracle import DIRECTORY
from tests.gpu.port import opened

CHUNK_TOKENS = 16
NUM_FIRST_JOBS = 50  # of every kind, however it draws: what is made at a first use is there
NUM_PAGES = 16  # a single page that did not come back after each job would be missed at once


@pytest.mark.req("M0-W-1011", "M0-W-1021")
@pytest.mark.parametrize(
    ("backend", "num_jobs"), [("fake", 1000), pytest.param("cuda", 10_000, marks=pytest.mark.gpu)]
)
def test_short_jobs_leave_ledger_and_free_memory_where_they_were(backend: str, num_jobs: int) -> None:
    path = str(DIRECTORY / "llama.gguf")
    with opened(backend, path, kv_tokens=NUM_PAGES * PAGE_TOKENS, chunk_tokens=CHUNK_TOKENS) as loaded:
        jobs = Jobs(loaded.model, vocab_size=loaded.description.vocab_size)
        for number in range(NUM_FIRST_JOBS):
            jobs.run(number)
        before = loaded.model.memory()

        for number in range(num_jobs):
            jobs.run(number)
            assert NUM_PAGES == loaded.model.memory().num_free_kv_pages

        assert before == loaded.model.memory()
        assert loaded.model.check_residency()
        assert jobs.num_tokens > num_jobs / 2


class Jobs:
    """Short jobs of every kind, by chance of a seed."""

    def __init__(self, model: LoadedModel, *, vocab_size: int) -> None:
        self._model = model
        self._vocab_size = vocab_size
        self._random = random.Random(1)
        self.num_tokens = 0
        self._kinds = (
            self._whole,
            self._left_before_its_first_step,
            self._left_in_its_prompt,
            self._left_in_its_answer,
            self._two_at_once,
        )

    def run(self, number: int) -> None:
        self._kinds[number % len(self._kinds)]()

    def _whole(self) -> None:
        max_tokens = self._random.randint(1, 2)
        job = self._open(max_tokens=max_tokens)
        self._step_until(self.num_tokens + max_tokens)
        self._model.close_sequence(job)

    def _left_before_its_first_step(self) -> None:
        self._model.close_sequence(self._open(max_tokens=2))

    def _left_in_its_prompt(self) -> None:
        job = self._open(num_prompt_tokens=3 * CHUNK_TOKENS, max_tokens=2)
        assert [] == list(self._model.step())
        self._model.close_sequence(job)

    def _left_in_its_answer(self) -> None:
        job = self._open(max_tokens=20)  # more than it is given, so that work is under way when it is left
        self._step_until(self.num_tokens + 2)
        self._model.close_sequence(job)

    def _two_at_once(self) -> None:
        first, second = self._open(max_tokens=2), self._open(max_tokens=2)
        self._step_until(self.num_tokens + 2)
        self._model.close_sequence(first)
        self._model.close_sequence(second)

    def _open(self, *, num_prompt_tokens: int | None = None, max_tokens: int) -> SequenceId:
        num_prompt_tokens = num_prompt_tokens or self._random.randint(1, 2 * CHUNK_TOKENS)
        prompt_ids = self._random.choices(range(self._vocab_size), k=num_prompt_tokens)
        return self._model.open_sequence(prompt_ids, self._sampling(), max_tokens=max_tokens)

    def _sampling(self) -> SamplingParams:
        hot = SamplingParams(seed=self._random.getrandbits(64), temperature=1.0, top_p=0.9)
        return self._random.choice((GREEDY, hot))

    def _step_until(self, num_tokens: int) -> None:
        while self.num_tokens < num_tokens:
            self.num_tokens += len(self._model.step())
