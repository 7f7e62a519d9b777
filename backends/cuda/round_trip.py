"""Pieces of a model file on their round: read into a slot, brought to their place, and the slot back."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from backends.cuda.pieces import Piece
from backends.cuda.staging import Way
from backends.cuda.stream import Event
from ports.background_reads import BackgroundRead, BackgroundReads

NUM_AHEAD = 6  # pieces that the device has before it while the host sleeps: half a millisecond


@dataclass(frozen=True, slots=True)
class Slot:
    """Room for one piece on its way, page-locked."""

    read: BackgroundRead  # into it
    pointers: Sequence[Any]  # to its chunks
    is_through: Event  # happens when the piece is in its place and the next may come


class RoundTrip:
    """Pieces from the file to the device, and slots back.

    Args:
        ways: taken in turn.
        reads: of the file.
        slots: all are under way at once. More than `NUM_AHEAD`, or one for each piece.
    """

    def __init__(self, ways: Sequence[Way], reads: BackgroundReads, slots: Iterable[Slot]) -> None:
        self._ways = cycle(ways)
        self._reads = reads
        self._free = deque(slots)
        self._reading: dict[BackgroundRead, tuple[Slot, Piece]] = {}
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
                    self._send_one()
                yield self._await_first()
            self._begin(piece)
        while self._reading:
            self._send_one()
        while self._on_device:
            yield self._await_first()

    def _begin(self, piece: Piece) -> None:
        slot = self._free.popleft()
        slot.read.begin(piece.tensor, offset_bytes=piece.offset_bytes, size_bytes=piece.size_bytes)
        self._reading[slot.read] = slot, piece

    def _send_one(self) -> None:
        slot, piece = self._reading.pop(self._reads.take())
        way = next(self._ways)
        way.bring(piece, slot.pointers)
        slot.is_through.record(way.stream)
        self._on_device.append((slot, piece))

    def _await_first(self) -> Piece:
        slot, piece = self._on_device.popleft()
        slot.is_through.wait()
        self._free.append(slot)
        return piece
