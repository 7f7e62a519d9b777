"""A driver whose device is the host's own memory, and as late as a device may be: nothing is done until it is
waited for, and then streams take turns. What is taken is counted.
"""

# ruff: noqa: N802 the driver's own names

import ctypes
import threading
from collections import deque
from collections.abc import Callable, Sequence
from types import SimpleNamespace


class Status:
    """What a call returns first; true where it failed."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __bool__(self) -> bool:
        return self.name != "CUDA_SUCCESS"


class HostStream:
    """Work that is done in order, some day."""

    def __init__(self) -> None:
        self.waiting: deque[Callable[[], object]] = deque()
        self.num_enqueued = 0

    def enqueue(self, work: Callable[[], object]) -> None:
        self.waiting.append(work)
        self.num_enqueued += 1

    def step(self) -> None:
        if self.waiting:
            self.waiting.popleft()()

    @property
    def num_done(self) -> int:
        return self.num_enqueued - len(self.waiting)


class HostEvent:
    """A point in a stream's work."""

    def __init__(self) -> None:
        self.stream = HostStream()
        self.point = 0


class HostDriver:
    """The calls that an upload takes, from the thread that made this. Copy number `failing_copy`,
    counted from 1, fails, and so does locking memory if `locks_memory` is false."""

    CUstream_flags = SimpleNamespace(CU_STREAM_NON_BLOCKING=1)
    CUdeviceptr = int
    CUmemcpyAttributes = SimpleNamespace
    CUmemcpySrcAccessOrder = SimpleNamespace(CU_MEMCPY_SRC_ACCESS_ORDER_STREAM=1)
    CUevent_flags = SimpleNamespace(CU_EVENT_BLOCKING_SYNC=1, CU_EVENT_DISABLE_TIMING=2)

    def __init__(self, *, failing_copy: int | None = None, locks_memory: bool = True) -> None:
        self.failing_copy = failing_copy
        self.locks_memory = locks_memory
        self.num_copies = 0
        self.largest_copy_bytes = 0
        self.largest_pinned_bytes = 0  # all together
        self.num_events = 0
        self.num_streams = 0
        self.pinned: dict[int, int] = {}  # bytes, by address
        self._streams: list[HostStream] = []  # those destroyed too: their work goes on
        self._owner = threading.get_ident()

    def cuStreamCreate(self, _flags: int) -> tuple[Status, HostStream]:
        self.num_streams += 1
        self._streams.append(HostStream())
        return self._done()[0], self._streams[-1]

    def cuStreamDestroy(self, _stream: HostStream) -> tuple[Status]:
        self.num_streams -= 1
        return self._done()

    def cuStreamSynchronize(self, stream: HostStream) -> tuple[Status]:
        self._finish(stream, stream.num_enqueued)
        return self._done()

    def cuEventCreate(self, _flags: int) -> tuple[Status, HostEvent]:
        self.num_events += 1
        return self._done()[0], HostEvent()

    def cuEventRecord(self, event: HostEvent, stream: HostStream) -> tuple[Status]:
        event.stream, event.point = stream, stream.num_enqueued
        return self._done()

    def cuEventSynchronize(self, event: HostEvent) -> tuple[Status]:
        self._finish(event.stream, event.point)
        return self._done()

    def cuEventDestroy(self, _event: HostEvent) -> tuple[Status]:
        self.num_events -= 1
        return self._done()

    def cuMemHostRegister(self, address: int, size_bytes: int, _flags: int) -> tuple[Status]:
        """In whichever thread."""
        assert address not in self.pinned
        if not self.locks_memory:
            return (Status("CUDA_ERROR_OUT_OF_MEMORY"),)
        self.pinned[address] = size_bytes
        self.largest_pinned_bytes = max(self.largest_pinned_bytes, sum(self.pinned.values()))
        return (Status("CUDA_SUCCESS"),)

    def cuMemHostUnregister(self, address: int) -> tuple[Status]:
        assert not any(stream.waiting for stream in self._streams)  # a copy may still read it
        del self.pinned[address]
        return self._done()

    def cuMemcpyBatchAsync(
        self,
        destinations: Sequence[int],
        sources: Sequence[int],
        sizes: Sequence[int],
        count: int,
        _attributes: Sequence[object],
        _first_copies: Sequence[int],
        _num_attributes: int,
        stream: HostStream,
    ) -> tuple[Status]:
        assert len(destinations) == len(sources) == len(sizes) == count
        for d_ptr, address, size_bytes in zip(destinations, sources, sizes, strict=True):
            self.num_copies += 1
            if self.num_copies == self.failing_copy:
                return (Status("CUDA_ERROR_INVALID_VALUE"),)
            self._copy(d_ptr, address, size_bytes, stream)
        return self._done()

    def _copy(self, d_ptr: int, address: int, size_bytes: int, stream: HostStream) -> None:
        self.largest_copy_bytes = max(self.largest_copy_bytes, size_bytes)
        assert any(
            start <= address <= address + size_bytes <= start + self.pinned[start] for start in self.pinned
        )
        stream.enqueue(lambda: ctypes.memmove(d_ptr, address, size_bytes))

    def _finish(self, stream: HostStream, point: int) -> None:
        while stream.num_done < point:
            for each in self._streams:
                each.step()

    def _done(self) -> tuple[Status]:
        assert threading.get_ident() == self._owner
        return (Status("CUDA_SUCCESS"),)
