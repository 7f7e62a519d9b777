"""The end of a device context, from outside of the code that uses it."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from backends.cuda.bindings import driver
from backends.cuda.compiler import Compiler, KernelSource
from backends.cuda.errors import check
from backends.cuda.kernel import Kernel
from backends.cuda.properties import read_properties
from backends.cuda.stream import Stream
from domain.errors import DeviceLost
from tests.kernels.gpu import CACHE_DIR

KERNELS = Path(__file__).parents[1] / "kernels"

_TRAP = KernelSource("driver.cu", "trap")


def make_trap() -> Callable[[], None]:
    """What ends the context of device 0, which every thread of this process shares, once it is called.

    To be made and called in one thread. The process has no use of the device afterwards.
    """
    properties = read_properties(0)
    context = check(driver.cuDevicePrimaryCtxRetain(0), "cuDevicePrimaryCtxRetain")
    check(driver.cuCtxSetCurrent(context), "cuCtxSetCurrent")
    compiler = Compiler(properties.arch, CACHE_DIR, [KERNELS])
    launch = Kernel(_TRAP.name, compiler.compile([_TRAP])[_TRAP], properties).bind(1, 1, [])
    stream = Stream()

    def trap() -> None:
        launch.enqueue(stream)
        with suppress(DeviceLost):  # as it must be
            stream.synchronize()

    return trap
