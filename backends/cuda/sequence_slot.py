"""The device's side of one open sequence: its state, its page table, and the tokens it chooses."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backends.cuda.arena import Arena
from backends.cuda.decode_calls import SequencePointers
from backends.cuda.graph import Graph
from backends.cuda.kernel import Launch
from backends.cuda.sampler import Method, SequenceState
from backends.cuda.stream import Event, PinnedBuffer, Stream
from domain.memory_plan import align

RING_SIZE = 8  # more than a sequence ever runs ahead

_ID_BYTES = 4


@dataclass(frozen=True, slots=True)
class SlotSizes:
    """What a slot must have room for."""

    num_pages: int
    vocab_size: int

    @property
    def size_bytes(self) -> int:
        parts = (
            ctypes.sizeof(SequenceState),
            RING_SIZE * _ID_BYTES,
            self.num_pages * _ID_BYTES,
            self.vocab_size,
        )
        return sum(align(part) for part in parts)


class SequenceSlot:
    """Serves one sequence at a time; what a sequence leaves enqueued runs out before the next one's work.

    Args:
        sizes: see there.
        arena: where its device memory is taken.
        stream: where the sequence's work goes; tokens come back beside it, so nothing waits for the copy.
        copies: the stream that tokens come back in.
    """

    def __init__(self, sizes: SlotSizes, arena: Arena, *, stream: Stream, copies: Stream) -> None:
        self.d_state = arena.take(ctypes.sizeof(SequenceState))
        self.d_ring = arena.take(RING_SIZE * _ID_BYTES)
        self.d_page_table = arena.take(sizes.num_pages * _ID_BYTES)
        self.d_seen = arena.take(sizes.vocab_size)
        self.steps: dict[Method, Graph] = {}  # of a decode step
        self.chunks: dict[int, Graph] = {}  # of a prompt, by the size that they serve
        self.forward: Sequence[Launch] = ()  # a decode step's, to its logits
        self.samples: dict[Method, Launch] = {}  # the choice of a token
        self._vocab_size = sizes.vocab_size
        self._stream = stream
        self._copies = copies
        self._chosen = [Event() for _ in range(RING_SIZE)]
        self._arrived = [Event() for _ in range(RING_SIZE)]
        self._first_arrived = Event(spins=True)  # a client waits for nothing else; later ones are made ahead
        self._pinned = PinnedBuffer(RING_SIZE * _ID_BYTES)
        self._tokens: NDArray[np.int32] = self._pinned.array.view(np.int32)

    @property
    def pointers(self) -> SequencePointers:
        return SequencePointers(
            d_token=self.d_state + SequenceState.token.offset,
            d_position=self.d_state + SequenceState.position.offset,
            d_page_table=self.d_page_table,
        )

    def write_pages(self, pages: Sequence[int]) -> None:
        """Where the sequence's positions lie in the pool."""
        table = np.asarray(pages, dtype=np.int32)
        self._stream.copy_to_device_async(self.d_page_table, table.ctypes.data, table.nbytes)

    def write_state(self, state: SequenceState) -> None:
        """Begin a sequence that has generated nothing yet."""
        self._stream.copy_to_device_async(self.d_state, ctypes.addressof(state), ctypes.sizeof(state))
        self._stream.memset_async(self.d_seen, 0, self._vocab_size)

    def send_token(self, step: int) -> None:
        """Have the token of `step`, whose work is enqueued, brought to the host."""
        index = step % RING_SIZE
        self._chosen[index].record(self._stream)
        self._copies.wait_for(self._chosen[index])
        self._copies.copy_to_host_async(
            self._pinned.address + index * _ID_BYTES, self.d_ring + index * _ID_BYTES, _ID_BYTES
        )
        self._arrival(step).record(self._copies)

    def take_token(self, step: int) -> int:
        """Wait for the token of `step`; NO_TOKEN where its logits were not finite."""
        self._arrival(step).wait()
        return int(self._tokens[step % RING_SIZE])

    def close(self) -> None:
        """Release what is not device memory. Nothing of it may be under way."""
        for graph in (*self.steps.values(), *self.chunks.values()):
            graph.close()
        for event in (*self._chosen, *self._arrived, self._first_arrived):
            event.close()
        self._pinned.close()

    def _arrival(self, step: int) -> Event:
        return self._arrived[step % RING_SIZE] if step else self._first_arrived
