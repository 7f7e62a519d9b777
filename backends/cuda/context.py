"""A device's context: everything on the device lives in it, and goes with it."""

from dataclasses import dataclass
from typing import Any

from backends.cuda.bindings import driver
from backends.cuda.errors import check, check_release
from backends.cuda.properties import DeviceProperties, read_properties
from domain.errors import DeviceError

_MOST_STREAMS = 4  # of a model and its upload at once


@dataclass(frozen=True, slots=True)
class ContextSettings:
    """As read back from the driver (M0-W-1010)."""

    malloc_heap_bytes: int  # for `malloc` in kernels, which none calls; asked for: 0
    prefers_l1: bool  # over shared memory, where the two share one store
    waits_asleep: bool  # a thread that waits for the device leaves its core to others


class Context:
    """The primary context of one device. The thread that opens it owns it: calls come from there.

    But for those of a helper that calls `enter` and touches nothing that the owner has made.
    """

    def __init__(self, properties: DeviceProperties, handle: Any) -> None:
        self.properties = properties
        self.handle = handle
        self._is_open = True

    @classmethod
    def open(cls, ordinal: int) -> "Context":
        """Create the context of device `ordinal`, apply the settings, make it the calling thread's own.

        Raises:
            InvalidDevice: there is no such device.
            DeviceNotFound: there is none at all, or it cannot be used, with what to do about it.
            DeviceError: the driver refused; nothing is left behind.
        """
        properties = read_properties(ordinal)
        device = properties.ordinal
        flags = int(driver.CUctx_flags.CU_CTX_SCHED_BLOCKING_SYNC)
        check(driver.cuDevicePrimaryCtxSetFlags(device, flags), "cuDevicePrimaryCtxSetFlags")
        handle = check(driver.cuDevicePrimaryCtxRetain(device), "cuDevicePrimaryCtxRetain")
        context = cls(properties, handle)
        try:
            context._configure()
        except BaseException:
            context.close()
            raise
        return context

    @property
    def settings(self) -> ContextSettings:
        heap_bytes = check(driver.cuCtxGetLimit(driver.CUlimit.CU_LIMIT_MALLOC_HEAP_SIZE), "cuCtxGetLimit")
        cache = check(driver.cuCtxGetCacheConfig(), "cuCtxGetCacheConfig")
        flags = int(check(driver.cuCtxGetFlags(), "cuCtxGetFlags"))
        return ContextSettings(
            malloc_heap_bytes=int(heap_bytes),
            prefers_l1=cache == driver.CUfunc_cache.CU_FUNC_CACHE_PREFER_L1,
            waits_asleep=bool(flags & int(driver.CUctx_flags.CU_CTX_SCHED_BLOCKING_SYNC)),
        )

    def enter(self) -> None:
        """Make it the calling thread's own as well."""
        check(driver.cuCtxSetCurrent(self.handle), "cuCtxSetCurrent")

    def free_bytes(self) -> int:
        """What the device has left, every process counted: a diagnostic, not this process's account."""
        free_bytes, _ = check(driver.cuMemGetInfo(), "cuMemGetInfo")
        return int(free_bytes)

    def close(self) -> None:
        """Free all that is on the device and reset it (M0-W-1401). Idempotent, safe after an error."""
        if not self._is_open:
            return
        self._is_open = False
        device = self.properties.ordinal
        check_release(driver.cuCtxSetCurrent(None), "cuCtxSetCurrent")
        check_release(driver.cuDevicePrimaryCtxRelease(device), "cuDevicePrimaryCtxRelease")
        check_release(driver.cuDevicePrimaryCtxReset(device), "cuDevicePrimaryCtxReset")

    def _configure(self) -> None:
        self.enter()
        _shrink_malloc_heap()
        prefer_l1 = driver.CUfunc_cache.CU_FUNC_CACHE_PREFER_L1
        check(driver.cuCtxSetCacheConfig(prefer_l1), "cuCtxSetCacheConfig")
        _take_memory_of_streams()


def _take_memory_of_streams() -> None:
    """Have the driver take now what it keeps once there were streams: what is free is then a model's."""
    flags = driver.CUstream_flags.CU_STREAM_NON_BLOCKING
    streams = [check(driver.cuStreamCreate(flags), "cuStreamCreate") for _ in range(_MOST_STREAMS)]
    for stream in streams:
        check(driver.cuStreamDestroy(stream), "cuStreamDestroy")


def _shrink_malloc_heap() -> None:
    """Set it to 0, or to the smallest size that the driver takes: it may round up or refuse."""
    limit = driver.CUlimit.CU_LIMIT_MALLOC_HEAP_SIZE
    for size_bytes in (0, 1, 4096, 2**16, 2**20):
        (status,) = driver.cuCtxSetLimit(limit, size_bytes)
        if status != driver.CUresult.CUDA_ERROR_INVALID_VALUE:
            check((status,), "cuCtxSetLimit")
            return
    raise DeviceError("cuCtxSetLimit: the driver takes no limit for the malloc heap")
