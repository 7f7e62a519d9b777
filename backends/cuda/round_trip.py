"""Pieces of a model file on their round: read into a slot, brought to their place, and the slot back."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import cycle

from backends.cuda.late_locked import LateLockedBuffer
from backends.cuda.readers import Piece, Readers
from backends.cuda.staging import Way
from backends.cuda.stream import Event

NUM_AHEAD = 4  # pieces that the device has before it while the host sleeps: a third of a millisecond


@dataclass(frozen=True, slots=True)
class Slot:
    """Room for one piece on its way."""

    host: LateLockedBuffer
    is_through: Event  # happens when the piece is in its place and the next may come

    @classmethod
    def make(cls, size_bytes: int, held: ExitStack) -> "Slot":
        """One for pieces of up to `size_bytes`, freed with `held`."""
        host = held.enter_context(closing(LateLockedBuffer(size_bytes)))
        return cls(host, held.enter_context(closing(Event())))

    @property
    def memory(self) -> memoryview:
        """What is read into."""
        return self.host.memory


class RoundTrip:
    """Pieces from the file to the device, and slots back.

    Args:
        ways: taken in turn.
        readers: of the file.
        make_slot: called while there are too few.
    """

    def __init__(self, ways: Sequence[Way], readers: Readers[Slot], make_slot: Callable[[], Slot]) -> None:
        self._ways = cycle(ways)
        self._readers = readers
        self._make_slot = make_slot
        self._num_reading = 0  # begun, and not taken
        self._on_device: deque[tuple[Slot, Piece]] = deque()

    def bring(self, pieces: Iterable[Piece], *, num_slots: int) -> Iterator[Piece]:
        """Bring every piece to its place, and yield it when it is there.

        Args:
            pieces: in the order in which they are read.
            num_slots: how many are under way at once, more than `NUM_AHEAD`.

        Raises:
            ModelLoadFailed: the file has become shorter, or cannot be read.
            DeviceError: a copy or kernel failed, or there is no page-locked memory.
        """
        for i, piece in enumerate(pieces):
            if i < num_slots:
                slot = self._make_slot()
            else:
                while len(self._on_device) <= NUM_AHEAD:
                    self._send()
                slot, arrived = self._await_first()
                yield arrived
            self._readers.begin(slot, piece)
            self._num_reading += 1
            while self._readers.has_read():
                self._send()
        while self._num_reading:
            self._send()
        while self._on_device:
            yield self._await_first()[1]

    def _send(self) -> None:
        slot, piece = self._readers.take()
        self._num_reading -= 1
        slot.host.lock()
        way = next(self._ways)
        way.bring(piece, slot.host.address)
        slot.is_through.record(way.stream)
        self._on_device.append((slot, piece))

    def _await_first(self) -> tuple[Slot, Piece]:
        slot, piece = self._on_device.popleft()
        slot.is_through.wait()
        return slot, piece
