"""A model's work on the device: what is enqueued for a chunk of a prompt, for a token, for a score."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backends.cuda.arena import Arena
from backends.cuda.call import Call
from backends.cuda.decode_calls import DecodeCalls
from backends.cuda.graph import Graph
from backends.cuda.kernel import Launch
from backends.cuda.kernel_set import KernelSet
from backends.cuda.memory import DeviceBuffer, DeviceMemory
from backends.cuda.prefill_attention import ChunkPointers
from backends.cuda.prefill_calls import PrefillCalls, chunk_sizes
from backends.cuda.sampler import Method, SampleArgs, SequenceState, log_prob_call, sample_call
from backends.cuda.sequence_slot import RING_SIZE, SequenceSlot, SlotSizes
from backends.cuda.stream import Event, Stream
from domain.errors import DeviceLost
from ports.memory import MemoryClass

_ID_BYTES = 4
_CHUNKS_UNDER_WAY = 2  # one computes, one waits: a cancel is felt after no more than these


@dataclass(frozen=True, slots=True)
class ProgramBuffers:
    """What the program reads and writes. Letters: T = tokens of a chunk, H = hidden_size, V = vocab_size."""

    d_chunk: int  # [1 + 2T] int32: how many tokens a chunk has, their ids, and from [1 + T] their positions
    d_target_ids: int  # [T] int32, whose probability a score is
    d_log_probs: int  # [T] float32
    d_sample_scratch: int
    d_chunk_x: int  # [T, H] float32, a chunk's residual stream after the last layer
    d_logits: int  # [V] float32


class ModelProgram:
    """Launches, prepared once and enqueued often, and the slots of sequences. One stream runs all of it.

    Args:
        decode: makes the launches of a token.
        prefill: makes the launches of a chunk.
        buffers: see there.
        kernels: all that is launched here, loaded.
        stream: where everything goes, and went.
        first_slot: room for the slot that is always there.
        slot_sizes: of that and any other slot.
        memory: where room for other slots is taken.
        hidden_size: H.
        chunk_tokens: T.
        num_multiprocessors: of the device.
    """

    def __init__(
        self,
        *,
        decode: DecodeCalls,
        prefill: PrefillCalls,
        buffers: ProgramBuffers,
        kernels: KernelSet,
        stream: Stream,
        first_slot: Arena,
        slot_sizes: SlotSizes,
        memory: DeviceMemory,
        hidden_size: int,
        chunk_tokens: int,
        num_multiprocessors: int,
    ) -> None:
        self._decode = decode
        self._prefill = prefill
        self._buffers = buffers
        self._kernels = kernels
        self._stream = stream
        self._copies = Stream()
        self._slot_sizes = slot_sizes
        self._memory = memory
        self._row_bytes = 4 * hidden_size
        self._chunk_tokens = chunk_tokens
        self._num_multiprocessors = num_multiprocessors
        self._chunk_ends = [Event() for _ in range(_CHUNKS_UNDER_WAY)]
        self._num_chunks = 0
        self._head = kernels.bind(decode.head(buffers.d_chunk_x))
        self._log_prob = kernels.bind(self._log_prob_call())
        first = self._make_slot(first_slot)
        self._free_slots = [first]
        self._extra_slots: dict[SequenceSlot, DeviceBuffer] = {}
        for method in Method:
            self._step(method, first)
        for size in chunk_sizes(chunk_tokens):
            self._chunk(size, first)

    @property
    def vocab_size(self) -> int:
        return self._slot_sizes.vocab_size

    def open_slot(self, pages: Sequence[int], state: SequenceState) -> SequenceSlot:
        """A slot with a sequence in it whose KV cache is in `pages`.

        Raises:
            VramExhausted: there is no room for one more; nothing was taken.
        """
        slot = self._free_slots.pop() if self._free_slots else self._make_extra_slot()
        slot.write_pages(pages)
        slot.write_state(state)
        return slot

    def close_slot(self, slot: SequenceSlot) -> None:
        """What is enqueued for it still runs; its tokens are never seen."""
        buffer = self._extra_slots.pop(slot, None)
        if buffer is None:
            self._free_slots.append(slot)
            return
        with suppress(DeviceLost):  # then nothing runs any more
            self.synchronize()
        slot.close()
        self._memory.free(buffer)

    def prefill(self, token_ids: Sequence[int], *, first_position: int, slot: SequenceSlot) -> None:
        """Enqueue a chunk of a prompt; waits while two others are under way."""
        end = self._chunk_ends[self._num_chunks % _CHUNKS_UNDER_WAY]
        self._num_chunks += 1
        end.wait()
        num_tokens, room = len(token_ids), self._chunk_tokens
        chunk = np.zeros(1 + 2 * room, dtype=np.int32)
        chunk[: 1 + num_tokens] = (num_tokens, *token_ids)
        chunk[1 + room : 1 + room + num_tokens] = range(first_position, first_position + num_tokens)
        self._write_ids(self._buffers.d_chunk, chunk)
        self._chunk(num_tokens, slot).launch(self._stream)
        end.record(self._stream)

    def sample_after_prefill(self, num_tokens: int, method: Method, slot: SequenceSlot) -> None:
        """Enqueue the choice of the token that follows a chunk of `num_tokens`."""
        self._enqueue_head(num_tokens - 1)
        self._sample(method, slot).enqueue(self._stream)

    def decode(self, method: Method, slot: SequenceSlot) -> None:
        """Enqueue the computation of the last token and the choice of the next."""
        self._step(method, slot).launch(self._stream)

    def step_calls(self, method: Method, slot: SequenceSlot) -> Sequence[Call]:
        """What a decode step launches, the choice of its token last."""
        return [*self._decode.step(slot.pointers), self._sample_call(method, slot)]

    def chunk_calls(self, most_tokens: int, slot: SequenceSlot) -> Sequence[Call]:
        """What a chunk of up to so many tokens launches, its head not among it."""
        d_ids = self._buffers.d_chunk + _ID_BYTES
        d_positions = d_ids + self._chunk_tokens * _ID_BYTES
        pointers = ChunkPointers(self._buffers.d_chunk, d_ids, d_positions, slot.d_page_table)
        return list(self._prefill.chunk(pointers, most_tokens))

    def score(
        self, token_ids: Sequence[int], slot: SequenceSlot, *, chunk_tokens: int
    ) -> NDArray[np.float32]:
        """[P - 1] log-probabilities of token_ids[1:]. A row's logits take one pass of the head each."""
        scores = [
            self._score_chunk(token_ids, start, chunk_tokens, slot)
            for start in range(0, len(token_ids) - 1, chunk_tokens)
        ]
        return np.concatenate(scores)

    def synchronize(self) -> None:
        """Wait until everything enqueued is done.

        Raises:
            DeviceLost: something failed.
        """
        self._stream.synchronize()
        self._copies.synchronize()

    def close(self) -> None:
        """Release what is not device memory."""
        for slot in (*self._free_slots, *self._extra_slots):
            slot.close()
        for event in self._chunk_ends:
            event.close()
        self._copies.close()

    def _score_chunk(
        self, token_ids: Sequence[int], start: int, chunk_tokens: int, slot: SequenceSlot
    ) -> NDArray[np.float32]:
        chunk = token_ids[start : start + chunk_tokens]
        targets = token_ids[start + 1 : start + 1 + chunk_tokens]
        self.prefill(chunk, first_position=start, slot=slot)
        self._write_ids(self._buffers.d_target_ids, targets)
        for row in range(len(targets)):
            self._enqueue_head(row)
            self._log_prob.args[1].value = self._buffers.d_target_ids + row * _ID_BYTES
            self._log_prob.args[2].value = self._buffers.d_log_probs + row * _ID_BYTES
            self._log_prob.enqueue(self._stream)
        scores = np.empty(len(targets), dtype=np.float32)
        self._stream.copy_to_host_async(scores.ctypes.data, self._buffers.d_log_probs, scores.nbytes)
        self._stream.synchronize()
        return scores

    def _enqueue_head(self, row: int) -> None:
        """The logits of one of a chunk's tokens."""
        self._head.args[0].d_x = self._buffers.d_chunk_x + row * self._row_bytes
        self._head.enqueue(self._stream)

    def _write_ids(self, d_ids: int, ids: Sequence[int] | NDArray[np.int32]) -> None:
        array = np.asarray(ids, dtype=np.int32)
        self._stream.copy_to_device_async(d_ids, array.ctypes.data, array.nbytes)

    def _chunk(self, num_tokens: int, slot: SequenceSlot) -> Graph:
        """The replay of a chunk of so many tokens or some more, captured at its first use."""
        size = next(size for size in chunk_sizes(self._chunk_tokens) if size >= num_tokens)
        if size not in slot.chunks:
            slot.chunks[size] = self._capture(map(self._kernels.bind, self.chunk_calls(size, slot)))
        return slot.chunks[size]

    def _step(self, method: Method, slot: SequenceSlot) -> Graph:
        """The replay of a decode step, captured at its first use."""
        if method not in slot.steps:
            slot.steps[method] = self._capture([*self._forward(slot), self._sample(method, slot)])
        return slot.steps[method]

    def _forward(self, slot: SequenceSlot) -> Sequence[Launch]:
        """From the last token to the logits of the next."""
        if not slot.forward:
            slot.forward = [self._kernels.bind(call) for call in self._decode.step(slot.pointers)]
        return slot.forward

    def _sample(self, method: Method, slot: SequenceSlot) -> Launch:
        if method not in slot.samples:
            slot.samples[method] = self._kernels.bind(self._sample_call(method, slot))
        return slot.samples[method]

    def _capture(self, launches: Iterable[Launch]) -> Graph:
        prepared = list(launches)

        def enqueue() -> None:
            for launch in prepared:
                launch.enqueue(self._stream)

        return Graph.capture(self._stream, enqueue)

    def _make_slot(self, arena: Arena) -> SequenceSlot:
        return SequenceSlot(self._slot_sizes, arena, stream=self._stream, copies=self._copies)

    def _make_extra_slot(self) -> SequenceSlot:
        buffer = self._memory.allocate(MemoryClass.SCRATCH, self._slot_sizes.size_bytes)
        slot = self._make_slot(Arena(buffer.d_ptr, buffer.size_bytes))
        self._extra_slots[slot] = buffer
        return slot

    def _sample_call(self, method: Method, slot: SequenceSlot) -> Call:
        args = SampleArgs(
            d_logits=self._buffers.d_logits,
            d_seen=slot.d_seen,
            d_state=slot.d_state,
            d_ring=slot.d_ring,
            d_scratch=self._buffers.d_sample_scratch,
            ring_size=RING_SIZE,
            vocab_size=self.vocab_size,
        )
        return sample_call(method, args, num_multiprocessors=self._num_multiprocessors)

    def _log_prob_call(self) -> Call:
        return log_prob_call(
            d_logits=self._buffers.d_logits,
            d_token_ids=self._buffers.d_target_ids,
            d_out=self._buffers.d_log_probs,
            num_rows=1,
            vocab_size=self.vocab_size,
        )
