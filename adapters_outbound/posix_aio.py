"""Reads that threads of the C library make, with no interpreter lock to wait for: aio_read(3).

They take turns at the descriptors that have a read under way. Reads of one descriptor are made one after the
other (glibc), so that what is to be read at once has descriptors of its own, if only duplicates.
"""

import ctypes
import errno
import os
from collections.abc import Sequence
from functools import cache
from typing import Any

_LIBRARY = "librt.so.1"  # where these functions were before glibc 2.34, and where they are found still
_MOST_THREADS = 12  # more read the page cache no faster
_SIGEV_NONE = 1  # <bits/sigevent-consts.h>: nobody is told, who wants to know asks


class _SignalEvent(ctypes.Structure):
    """struct sigevent of 64-bit Linux, sigevent(3type)."""

    _fields_ = (
        ("sigev_value", ctypes.c_void_p),
        ("sigev_signo", ctypes.c_int),
        ("sigev_notify", ctypes.c_int),
        ("padding", ctypes.c_int * 12),
    )


class _Settings(ctypes.Structure):
    """struct aioinit, aio_init(3)."""

    _fields_ = (
        ("aio_threads", ctypes.c_int),
        ("aio_num", ctypes.c_int),
        ("unused", ctypes.c_int * 4),
        ("aio_idle_time", ctypes.c_int),
        ("reserved", ctypes.c_int),
    )


class _ControlBlock(ctypes.Structure):
    """struct aiocb of 64-bit Linux, <aio.h>. What has no name there is the C library's own."""

    _fields_ = (
        ("aio_fildes", ctypes.c_int),
        ("aio_lio_opcode", ctypes.c_int),
        ("aio_reqprio", ctypes.c_int),
        ("aio_buf", ctypes.c_void_p),
        ("aio_nbytes", ctypes.c_size_t),
        ("aio_sigevent", _SignalEvent),
        ("reserved", ctypes.c_byte * 32),
        ("aio_offset", ctypes.c_int64),
        ("reserved_too", ctypes.c_byte * 32),
    )


class BufferRead:
    """Reads into one buffer, one at a time. One thread calls; the buffer stays as long as this does.

    Args:
        buffer: writable, contiguous, not empty. Nobody else touches it while a read is under way.
    """

    def __init__(self, buffer: memoryview) -> None:
        self._call = _library()
        self._memory = (ctypes.c_byte * len(buffer)).from_buffer(buffer)
        self._block = _ControlBlock(aio_buf=ctypes.addressof(self._memory))
        self._block.aio_sigevent.sigev_notify = _SIGEV_NONE
        self._pointer = ctypes.byref(self._block)
        self.address = ctypes.addressof(self._block)

    def begin(self, descriptor: int, *, start: int, size_bytes: int) -> None:
        """Have the first `size_bytes` of the buffer filled from byte `start` of a file on.

        Raises:
            OSError: the C library can take no more.
        """
        assert size_bytes <= len(self._memory)
        self._block.aio_fildes = descriptor
        self._block.aio_offset = start
        self._block.aio_nbytes = size_bytes
        if self._call.aio_read(self._pointer):
            raise _os_error(ctypes.get_errno())

    @property
    def is_done(self) -> bool:
        return bool(self._call.aio_error(self._pointer) != errno.EINPROGRESS)

    def result(self) -> int:
        """How many bytes were read by what is done; at the end of a file fewer than asked for. Once a read.

        Raises:
            OSError: it failed.
        """
        error = self._call.aio_error(self._pointer)
        count = self._call.aio_return(self._pointer)
        if error:
            raise _os_error(error)
        return int(count)


def wait_for_any(reads: Sequence[BufferRead]) -> None:
    """Return when one of them is done, or a signal came. Without the interpreter lock."""
    blocks = (ctypes.c_void_p * len(reads))(*(read.address for read in reads))
    _waiting_library().aio_suspend(blocks, len(reads), None)


def joined(chunks: Sequence[memoryview]) -> memoryview:
    """The memory of `chunks` as one, valid as long as somebody holds them.

    Raises:
        ValueError: they do not lie one behind the other.
    """
    addresses = [ctypes.addressof(ctypes.c_byte.from_buffer(chunk)) for chunk in chunks]
    ends = [address + len(chunk) for address, chunk in zip(addresses, chunks, strict=True)]
    if addresses[1:] != ends[:-1]:
        raise ValueError("chunks do not lie one behind the other")
    return memoryview((ctypes.c_byte * (ends[-1] - addresses[0])).from_address(addresses[0])).cast("B")


@cache
def _library() -> Any:
    """For calls that return at once: they keep the interpreter lock, which takes time to get back."""
    library = ctypes.PyDLL(_LIBRARY, use_errno=True)
    library.aio_return.restype = ctypes.c_ssize_t
    num_threads = min(_MOST_THREADS, len(os.sched_getaffinity(0)))
    library.aio_init(ctypes.byref(_Settings(aio_threads=num_threads, aio_num=64, aio_idle_time=1)))
    return library


@cache
def _waiting_library() -> Any:
    return ctypes.CDLL(_LIBRARY)


def _os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
