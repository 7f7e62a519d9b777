"""Host memory for copies that is brought and page-locked while its owner does other things.

That takes 15 ms for 96 MiB, a quarter of the time that a model of 2 GB is on its way.
"""

import mmap
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread

import numpy as np

from backends.cuda.bindings import driver
from backends.cuda.errors import check, check_release
from domain.errors import DeviceError

_LARGE_PAGE_BYTES = 2 * 2**20


class HostMemory:
    """So many bytes of page-locked memory.

    Args:
        size_bytes: of it.
        enter_context: makes the device's context that of the calling thread: one of its own locks the memory.

    Raises:
        DeviceError: the system does not give so much.
    """

    def __init__(self, size_bytes: int, enter_context: Callable[[], None]) -> None:
        mapped_bytes = size_bytes + _LARGE_PAGE_BYTES
        try:
            mapping = mmap.mmap(-1, mapped_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        except OSError as error:
            raise DeviceError(f"{mapped_bytes} bytes of host memory to copy from: {error}") from error
        with suppress(OSError):  # a system that has no large pages
            mapping.madvise(mmap.MADV_HUGEPAGE)
        everything = np.frombuffer(mapping, np.uint8)
        skipped = -everything.ctypes.data % _LARGE_PAGE_BYTES
        self._bytes = everything[skipped : skipped + size_bytes]
        self.address = self._bytes.ctypes.data
        self._enter_context = enter_context
        self._locked: Future[None] = Future()
        Thread(target=self._lock, name="page-lock", daemon=True).start()

    @property
    def memory(self) -> memoryview:
        """All of it, once it is locked. Unmapped with the last view.

        Raises:
            DeviceError: the system does not allow so much to be locked.
        """
        self._locked.result()
        return self._bytes.data

    def close(self) -> None:
        """Unlock it; nothing may copy from it any more."""
        if self._locked.exception() is None:
            check_release(driver.cuMemHostUnregister(self.address), "cuMemHostUnregister")

    def _lock(self) -> None:
        try:
            self._bytes[:: mmap.PAGESIZE] = 0  # brings its pages, and numpy lets go of the interpreter lock
            self._enter_context()
            check(driver.cuMemHostRegister(self.address, len(self._bytes), 0), "cuMemHostRegister")
            self._locked.set_result(None)
        except BaseException as error:  # raised where the memory is asked for
            self._locked.set_exception(error)
