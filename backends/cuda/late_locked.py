"""Host memory for copies that is page-locked when the first copy needs it, not when it is made.

To bring 4 MiB of pages takes the system some 2 ms, and the thread that locks them waits for it. Here those
who fill the memory bring its pages, each thread its own, in large pages where the system has them; to lock
them then is quick.
"""

import mmap
from contextlib import suppress

import numpy as np

from backends.cuda.bindings import driver
from backends.cuda.errors import check, check_release

_LARGE_PAGE_BYTES = 2 * 2**20


class LateLockedBuffer:
    """Page-locked host memory, once `lock` was called."""

    def __init__(self, size_bytes: int) -> None:
        mapping = mmap.mmap(-1, size_bytes + _LARGE_PAGE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with suppress(OSError):  # a system that has no large pages
            mapping.madvise(mmap.MADV_HUGEPAGE)
        everything = np.frombuffer(mapping, np.uint8)
        skipped = -everything.ctypes.data % _LARGE_PAGE_BYTES
        own = everything[skipped : skipped + size_bytes]
        self.size_bytes = size_bytes
        self.address = own.ctypes.data
        self.memory = own.data  # unmapped with the last view of it
        self._is_locked = False

    def lock(self) -> None:
        """Page-lock it, if it is not.

        Raises:
            DeviceError: the system does not allow so much.
        """
        if not self._is_locked:
            check(driver.cuMemHostRegister(self.address, self.size_bytes, 0), "cuMemHostRegister")
            self._is_locked = True

    def close(self) -> None:
        if self._is_locked:
            check_release(driver.cuMemHostUnregister(self.address), "cuMemHostUnregister")
