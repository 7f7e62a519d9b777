"""Host bytes to the device through page-locked memory, so that copying and filling overlap."""

from collections import deque
from collections.abc import Callable
from contextlib import suppress

import numpy as np

from backends.cuda.stream import Event, PinnedBuffer, Stream
from domain.errors import DeviceError

_NUM_BUFFERS = 3  # one being filled, one being copied, one waiting for its turn


class StagingRing:
    """A few page-locked buffers, used in turn.

    Args:
        stream: where the copies are enqueued.
        size_bytes: of each buffer.
        on_arrival: told the size of every piece, in order, once it is on the device.

    Raises:
        DeviceError: there is no such memory.
    """

    def __init__(self, stream: Stream, size_bytes: int, on_arrival: Callable[[int], None]) -> None:
        self._stream = stream
        self._on_arrival = on_arrival
        self._slots: deque[_Slot] = deque()  # the one filled longest ago first
        try:
            for _ in range(_NUM_BUFFERS):
                self._slots.append(_Slot(size_bytes))
        except DeviceError:
            self.close()
            raise

    def send(self, data: memoryview, d_destination: int) -> None:
        """Copy `data` away, and enqueue its copy to the device; it is not needed any more on return.

        Raises:
            DeviceError: this copy or something before it failed.
        """
        slot = self._slots[0]
        self._wait(slot)
        np.copyto(slot.array[: len(data)], np.frombuffer(data, np.uint8))
        slot.piece_bytes = len(data)
        self._stream.copy_to_device_async(d_destination, slot.buffer.address, slot.piece_bytes)
        slot.has_arrived.record(self._stream)
        self._slots.rotate(-1)

    def finish(self) -> None:
        """Wait until everything in the stream is done.

        Raises:
            DeviceError: something failed.
        """
        self._stream.synchronize()
        for slot in self._slots:
            self._wait(slot)

    def close(self) -> None:
        """Give the buffers back, also in the middle of things."""
        with suppress(DeviceError):
            self._stream.synchronize()  # copies may still read them
        for slot in self._slots:
            slot.close()
        self._slots.clear()

    def _wait(self, slot: "_Slot") -> None:
        slot.has_arrived.wait()
        if slot.piece_bytes:
            piece_bytes, slot.piece_bytes = slot.piece_bytes, 0
            self._on_arrival(piece_bytes)


class _Slot:
    """A buffer, and how much in it is under way."""

    def __init__(self, size_bytes: int) -> None:
        self.has_arrived = Event()
        self.buffer = PinnedBuffer(size_bytes)
        self.array = self.buffer.array
        self.piece_bytes = 0

    def close(self) -> None:
        self.buffer.close()
        self.has_arrived.close()
