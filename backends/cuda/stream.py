"""Streams of work, events in them, and the host memory that copies go through."""

from collections.abc import Sequence
from ctypes import c_uint8
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.cuda.bindings import driver
from backends.cuda.errors import check, check_release


class Stream:
    """Work that runs in the order in which it was enqueued. Does not wait for the legacy default stream."""

    def __init__(self) -> None:
        self.handle = check(
            driver.cuStreamCreate(driver.CUstream_flags.CU_STREAM_NON_BLOCKING), "cuStreamCreate"
        )
        self._copy_attributes = driver.CUmemcpyAttributes()
        self._copy_attributes.srcAccessOrder = driver.CUmemcpySrcAccessOrder.CU_MEMCPY_SRC_ACCESS_ORDER_STREAM

    def synchronize(self) -> None:
        """Wait, without the interpreter lock, until everything enqueued is done.

        Raises:
            DeviceLost: a kernel before this failed.
        """
        check(driver.cuStreamSynchronize(self.handle), "cuStreamSynchronize")

    def wait_for(self, event: "Event") -> None:
        """Begin what is enqueued from here on after `event` has happened; the host goes on."""
        check(driver.cuStreamWaitEvent(self.handle, event.handle, 0), "cuStreamWaitEvent")

    def copy_to_device_async(self, d_ptr: int, host_address: int, size_bytes: int) -> None:
        """The host's memory must live until the copy is done; if it is not page-locked, the call waits."""
        check(driver.cuMemcpyHtoDAsync(d_ptr, host_address, size_bytes, self.handle), "cuMemcpyHtoDAsync")

    def copy_chunks_to_device_async(
        self, destinations: Sequence[Any], sources: Sequence[Any], sizes: Sequence[int]
    ) -> None:
        """As `copy_to_device_async`, of chunks of so many bytes at `chunk_pointers`, each a copy of its own.

        One call for all: every call lets go of the interpreter lock, and to get it back from a thread that
        builds a tokenizer meanwhile takes longer than a chunk of a megabyte is on its way.
        """
        result = driver.cuMemcpyBatchAsync(
            destinations,
            sources,
            sizes,
            len(sizes),
            [self._copy_attributes],
            [0],  # of the first chunk and all after it
            1,
            self.handle,
        )
        check(result, "cuMemcpyBatchAsync")

    def copy_to_host_async(self, host_address: int, d_ptr: int, size_bytes: int) -> None:
        """As `copy_to_device_async`."""
        check(driver.cuMemcpyDtoHAsync(host_address, d_ptr, size_bytes, self.handle), "cuMemcpyDtoHAsync")

    def memset_async(self, d_ptr: int, byte: int, size_bytes: int) -> None:
        check(driver.cuMemsetD8Async(d_ptr, byte, size_bytes, self.handle), "cuMemsetD8Async")

    def close(self) -> None:
        check_release(driver.cuStreamDestroy(self.handle), "cuStreamDestroy")


def chunk_pointers(address: int, size_bytes: int, chunk_bytes: int) -> list[Any]:
    """Where the chunks of some memory begin, as a batch of copies takes them; made once, used often."""
    return [driver.CUdeviceptr(address + start) for start in range(0, size_bytes, chunk_bytes)]


class Event:
    """A point in a stream. One that was never recorded counts as done.

    Args:
        spins: who waits for it keeps a core busy, and goes on 50 to 100 us sooner than one who sleeps.
    """

    def __init__(self, *, spins: bool = False) -> None:
        flags = int(driver.CUevent_flags.CU_EVENT_DISABLE_TIMING)
        if not spins:
            flags |= int(driver.CUevent_flags.CU_EVENT_BLOCKING_SYNC)
        self.handle = check(driver.cuEventCreate(flags), "cuEventCreate")

    def record(self, stream: Stream) -> None:
        """Mark the end of what is enqueued in `stream` now."""
        check(driver.cuEventRecord(self.handle, stream.handle), "cuEventRecord")

    def wait(self) -> None:
        """Sleep or spin, without the interpreter lock, until the point is reached.

        Raises:
            DeviceLost: a kernel before it failed.
        """
        check(driver.cuEventSynchronize(self.handle), "cuEventSynchronize")

    def close(self) -> None:
        check_release(driver.cuEventDestroy(self.handle), "cuEventDestroy")


class PinnedBuffer:
    """Page-locked host memory, which copies go through at full speed and without the host's waiting."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.address = int(check(driver.cuMemHostAlloc(size_bytes, 0), "cuMemHostAlloc"))

    @property
    def array(self) -> NDArray[np.uint8]:
        """[size_bytes] a view of it, not to be used after `close`."""
        return np.ctypeslib.as_array((c_uint8 * self.size_bytes).from_address(self.address))

    def close(self) -> None:
        check_release(driver.cuMemFreeHost(self.address), "cuMemFreeHost")
