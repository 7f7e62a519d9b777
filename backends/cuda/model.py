"""The CUDA backend's loaded model."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import numpy as np
from numpy.typing import NDArray

from backends.cuda.context import Context
from backends.cuda.kv_pages import PagePool
from backends.cuda.memory import DeviceMemory
from backends.cuda.model_program import ModelProgram
from backends.cuda.sampler import NO_TOKEN, SequenceState, initial_state
from backends.cuda.sequence import OpenSequence
from domain.errors import DeviceError, DeviceLost, InvalidRequest
from domain.memory_plan import pages_for
from ports.loaded_model import SequenceId, StepOutput
from ports.memory import MemoryClass, MemoryPlan, MemoryReport
from ports.sampling import SamplingParams

_STEPS_AHEAD = 2  # enqueued beyond the token that is waited for, so that the device never waits for Python


class CudaModel:
    """A `LoadedModel`. Every sequence advances by itself, so what it gives never depends on the others."""

    def __init__(
        self, program: ModelProgram, plan: MemoryPlan, *, context: Context, memory: DeviceMemory
    ) -> None:
        self._program = program
        self._context = context
        self._plan = plan
        self._memory = memory
        self._pages = PagePool(plan.num_kv_pages, page_bytes=plan.kv_page_bytes)
        self._sequences: dict[SequenceId, OpenSequence] = {}
        self._next_id = 0
        self._is_open = True
        self._lost: DeviceLost | None = None

    def open_sequence(
        self, prompt_ids: Sequence[int], sampling: SamplingParams, *, max_tokens: int
    ) -> SequenceId:
        self._require_device()
        self._check_ids(prompt_ids, num_tokens=len(prompt_ids) + max_tokens)
        if max_tokens < 1:
            raise InvalidRequest(f"max_tokens is {max_tokens}; at least 1 is needed")
        state = initial_state(
            sampling, token_id=prompt_ids[-1], position=len(prompt_ids) - 1, num_steps=max_tokens
        )
        with self._watching():
            pages = self._take_pages(len(prompt_ids) + max_tokens)
            try:
                slot = self._program.open_slot(pages, state)
            except BaseException:
                self._pages.give_back(pages)
                raise
        sequence_id = SequenceId(self._next_id)
        self._next_id += 1
        self._sequences[sequence_id] = OpenSequence(
            sequence_id, tuple(prompt_ids), sampling, max_tokens, pages, slot
        )
        return sequence_id

    def step(self) -> Sequence[StepOutput]:
        self._require_device()
        if any(sequence.is_lost for sequence in self._sequences.values()):
            raise DeviceError("a step failed; close the sequences that were open then")
        active = [sequence for sequence in self._sequences.values() if not sequence.is_complete]
        try:
            with self._watching():
                for sequence in active:
                    self._enqueue(sequence)
                return [self._take(sequence) for sequence in active if sequence.num_enqueued]
        except DeviceError:
            for sequence in self._sequences.values():
                sequence.is_lost = True
            raise

    def close_sequence(self, sequence_id: SequenceId) -> None:
        sequence = self._sequences.pop(sequence_id, None)
        if sequence is not None:
            # What it left enqueued runs before whatever is enqueued for the pages' next owner.
            self._pages.give_back(sequence.pages)
            self._program.close_slot(sequence.slot)

    def score(self, token_ids: Sequence[int]) -> NDArray[np.float32]:
        self._require_device()
        self._check_ids(token_ids, num_tokens=len(token_ids))
        if len(token_ids) < 2:
            raise InvalidRequest("one token alone has no score; 2 are needed")
        with self._watching():
            pages = self._take_pages(len(token_ids))
            try:
                slot = self._program.open_slot(pages, SequenceState())
                try:
                    return self._program.score(token_ids, slot, chunk_tokens=self._plan.prefill_chunk_tokens)
                finally:
                    self._program.close_slot(slot)
            finally:
                self._pages.give_back(pages)

    def memory(self) -> MemoryReport:
        return MemoryReport(
            weights_bytes=self._memory.used_bytes(MemoryClass.WEIGHTS),
            kv_cache_bytes=self._memory.used_bytes(MemoryClass.KV_CACHE),
            scratch_bytes=self._memory.used_bytes(MemoryClass.SCRATCH),
            free_bytes=self._free_bytes(),
            num_kv_pages=self._pages.num_pages,
            num_free_kv_pages=self._pages.num_free,
        )

    def check_residency(self) -> bool:
        self._require_device()
        with self._watching():
            return self._memory.check_residency()

    def close(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        with suppress(DeviceError):
            self._program.synchronize()
            for sequence_id in list(self._sequences):
                self.close_sequence(sequence_id)
            self._program.close()
        self._memory.close()

    def _free_bytes(self) -> int:
        try:
            return self._context.free_bytes()
        except DeviceError:  # a lost device has nothing to give
            return 0

    def _enqueue(self, sequence: OpenSequence) -> None:
        """A chunk of a prompt; of an answer, as many tokens as the device should have before it."""
        if sequence.num_enqueued == 0 and not self._prefill(sequence):
            return
        while sequence.num_enqueued < min(sequence.num_taken + 1 + _STEPS_AHEAD, sequence.max_tokens):
            self._program.decode(sequence.method, sequence.slot)
            sequence.slot.send_token(sequence.num_enqueued)
            sequence.num_enqueued += 1

    def _prefill(self, sequence: OpenSequence) -> bool:
        """Enqueue the next chunk, and with the last one the choice of the first token: then it is true."""
        start = sequence.num_prefilled
        chunk = sequence.prompt_ids[start : start + self._plan.prefill_chunk_tokens]
        self._program.prefill(chunk, first_position=start, slot=sequence.slot)
        sequence.num_prefilled += len(chunk)
        if sequence.num_prefilled < len(sequence.prompt_ids):
            return False
        self._program.sample_after_prefill(len(chunk), sequence.method, sequence.slot)
        sequence.slot.send_token(0)
        sequence.num_enqueued = 1
        return True

    def _take(self, sequence: OpenSequence) -> StepOutput:
        token_id = sequence.slot.take_token(sequence.num_taken)
        if token_id == NO_TOKEN:
            raise DeviceError("logits are not finite")
        sequence.num_taken += 1
        return StepOutput(sequence.sequence_id, token_id)

    def _take_pages(self, num_tokens: int) -> Sequence[int]:
        return self._pages.take(pages_for(num_tokens, page_tokens=self._plan.page_tokens))

    @contextmanager
    def _watching(self) -> Iterator[None]:
        """Remember that the device is lost, once it is."""
        try:
            yield
        except DeviceLost as error:
            self._lost = error
            raise

    def _check_ids(self, token_ids: Sequence[int], *, num_tokens: int) -> None:
        vocab_size = self._program.vocab_size
        if num_tokens > self._plan.max_model_len:
            raise InvalidRequest(f"{num_tokens} tokens; the model takes {self._plan.max_model_len}")
        if not token_ids or not 0 <= min(token_ids) <= max(token_ids) < vocab_size:
            raise InvalidRequest(f"token ids must be some, each in [0, {vocab_size})")

    def _require_device(self) -> None:
        if self._lost is not None:
            raise DeviceLost(self._lost.message)
        if not self._is_open:
            raise DeviceError("the model is closed")
