"""The stand-in's loaded model."""

from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray

from backends.fake.fault_injector import FaultInjector
from backends.fake.forward import forward, logits
from backends.fake.kv_cache import KvCache
from backends.fake.kv_pages import PagePool
from backends.fake.ledger import VramLedger
from backends.fake.score import score_tokens
from backends.fake.sequence import OpenSequence
from backends.fake.weights import Weights
from domain.errors import DeviceError, InvalidRequest
from domain.memory_plan import pages_for
from domain.sampling import sample
from ports.loaded_model import SequenceId, StepOutput
from ports.memory import MemoryClass, MemoryPlan, MemoryReport
from ports.sampling import SamplingParams


class FakeModel:
    """A `LoadedModel`: weights in host memory, everything it would hold on a device in the ledger."""

    def __init__(
        self,
        weights: Weights,
        plan: MemoryPlan,
        *,
        ledger: VramLedger,
        memory: ExitStack,
        faults: FaultInjector,
    ) -> None:
        self._weights: Weights | None = weights
        self._plan = plan
        self._ledger = ledger
        self._memory = memory  # frees every allocation, once, when it is closed
        self._faults = faults
        self._pages = PagePool(plan.num_kv_pages, page_bytes=plan.kv_page_bytes, faults=faults)
        self._sequences: dict[SequenceId, OpenSequence] = {}
        self._next_id = 0

    def open_sequence(
        self, prompt_ids: Sequence[int], sampling: SamplingParams, *, max_tokens: int
    ) -> SequenceId:
        self._faults.require_device()
        weights = self._require_weights()
        self._check_ids(prompt_ids, num_tokens=len(prompt_ids) + max_tokens)
        if max_tokens < 1:
            raise InvalidRequest(f"max_tokens is {max_tokens}; at least 1 is needed")
        pages = self._pages.take(self._pages_for(len(prompt_ids) + max_tokens))
        sequence_id = SequenceId(self._next_id)
        self._next_id += 1
        cache = KvCache(weights.description.layers)
        self._sequences[sequence_id] = OpenSequence(
            sequence_id, tuple(prompt_ids), sampling, max_tokens, pages, cache
        )
        return sequence_id

    def step(self) -> Sequence[StepOutput]:
        self._faults.require_device()
        weights = self._require_weights()
        if any(sequence.is_lost for sequence in self._sequences.values()):
            raise DeviceError("a step failed; close the sequences that were open then")
        active = [sequence for sequence in self._sequences.values() if not sequence.is_complete]
        if not active:
            return []
        try:
            self._faults.begin_step()
            return [output for sequence in active if (output := self._advance(weights, sequence)) is not None]
        except DeviceError:
            for sequence in self._sequences.values():
                sequence.is_lost = True
            raise

    def close_sequence(self, sequence_id: SequenceId) -> None:
        sequence = self._sequences.pop(sequence_id, None)
        if sequence is not None:
            self._pages.give_back(sequence.pages)

    def score(self, token_ids: Sequence[int]) -> NDArray[np.float32]:
        self._faults.require_device()
        weights = self._require_weights()
        self._check_ids(token_ids, num_tokens=len(token_ids))
        if len(token_ids) < 2:
            raise InvalidRequest("one token alone has no score; 2 are needed")
        pages = self._pages.take(self._pages_for(len(token_ids)))
        try:
            self._faults.begin_step()
            return score_tokens(weights, token_ids, chunk_tokens=self._plan.prefill_chunk_tokens)
        finally:
            self._pages.give_back(pages)

    def memory(self) -> MemoryReport:
        return MemoryReport(
            weights_bytes=self._ledger.used_bytes(MemoryClass.WEIGHTS),
            kv_cache_bytes=self._ledger.used_bytes(MemoryClass.KV_CACHE),
            scratch_bytes=self._ledger.used_bytes(MemoryClass.SCRATCH),
            free_bytes=self._ledger.free_bytes,
            num_kv_pages=self._pages.num_pages,
            num_free_kv_pages=self._pages.num_free,
        )

    def check_residency(self) -> bool:
        self._faults.require_device()
        return not self._faults.is_residency_lost

    def close(self) -> None:
        for sequence_id in list(self._sequences):
            self.close_sequence(sequence_id)
        self._memory.close()
        self._weights = None

    def _advance(self, weights: Weights, sequence: OpenSequence) -> StepOutput | None:
        inputs = sequence.next_input(self._plan.prefill_chunk_tokens)
        hidden = forward(weights, inputs, sequence.cache)
        if not sequence.is_prompt_done:
            return None
        scores = logits(weights, hidden[-1:])[0]
        if self._faults.poisons_logits:
            scores[:] = np.nan
        history = sequence.generated_ids
        token_id = sample(scores, history, sequence.sampling, len(history))
        history.append(token_id)
        return StepOutput(sequence.sequence_id, token_id)

    def _pages_for(self, num_tokens: int) -> int:
        return pages_for(num_tokens, page_tokens=self._plan.page_tokens)

    def _check_ids(self, token_ids: Sequence[int], *, num_tokens: int) -> None:
        vocab_size = self._require_weights().description.vocab_size
        if num_tokens > self._plan.max_model_len:
            raise InvalidRequest(f"{num_tokens} tokens; the model takes {self._plan.max_model_len}")
        if not token_ids or not 0 <= min(token_ids) <= max(token_ids) < vocab_size:
            raise InvalidRequest(f"token ids must be some, each in [0, {vocab_size})")

    def _require_weights(self) -> Weights:
        if self._weights is None:
            raise DeviceError("the model is closed")
        return self._weights
