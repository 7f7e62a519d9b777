"""Pieces of a model file on their round: read into a slot, brought to their place, and the slot back."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from backends.cuda.readers import Piece, Readers
from backends.cuda.staging import Way
from backends.cuda.stream import Event

NUM_AHEAD = 4  # pieces that the device has before it while the host sleeps: half a millisecond


@dataclass(frozen=True, slots=True)
class Slot:
    """Room for one piece on its way, page-locked, in chunks."""

    chunks: Sequence[memoryview]  # what is read into
    pointers: Sequence[Any]  # of each
    is_through: Event  # happens when the piece is in its place and the next may come


class RoundTrip:
    """Pieces from the file to the device, and slots back.

    Args:
        ways: taken in turn.
        readers: of the file.
        slots: all are under way at once. More than `NUM_AHEAD`, or one for each piece.
    """

    def __init__(self, ways: Sequence[Way], readers: Readers[Slot], slots: Iterable[Slot]) -> None:
        self._ways = cycle(ways)
        self._readers = readers
        self._free = deque(slots)
        self._num_reading = 0  # begun, and not taken
        self._on_device: deque[tuple[Slot, Piece]] = deque()

    def bring(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """Bring every piece to its place, and yield it when it is there.

        Args:
            pieces: in the order in which they are read.

        Raises:
            ModelLoadFailed: the file has become shorter, or cannot be read.
            DeviceError: a copy or kernel failed.
        """
        for piece in pieces:
            if not self._free:
                while len(self._on_device) <= NUM_AHEAD:
                    self._send()
                yield self._await_first()
            self._readers.begin(self._free.popleft(), piece)
            self._num_reading += 1
            while self._readers.has_read():
                self._send()
        while self._num_reading:
            self._send()
        while self._on_device:
            yield self._await_first()

    def _send(self) -> None:
        slot, piece = self._readers.take()
        self._num_reading -= 1
        way = next(self._ways)
        way.bring(piece, slot.pointers)
        slot.is_through.record(way.stream)
        self._on_device.append((slot, piece))

    def _await_first(self) -> Piece:
        slot, piece = self._on_device.popleft()
        slot.is_through.wait()
        self._free.append(slot)
        return piece
