"""Kernels on the device, and launches prepared once and enqueued many times."""

from collections.abc import Sequence
from ctypes import Structure, _SimpleCData, addressof, c_uint64, c_void_p, sizeof
from typing import Any, TypeAlias

from backends.cuda.bindings import driver
from backends.cuda.cubin import Cubin
from backends.cuda.errors import check_launch, check_release
from backends.cuda.properties import DeviceProperties
from backends.cuda.stream import Stream
from domain.errors import KernelLaunchFailed

Argument: TypeAlias = "_SimpleCData[Any] | Structure"
Dimensions = int | tuple[int, ...]

_MAX_BLOCK_THREADS = 1024
_MAX_GRID_YZ = 65535
_LARGEST_CARVEOUT_PERCENT = 100


def pointer(d_ptr: int) -> c_uint64:
    """A device pointer as an argument."""
    return c_uint64(d_ptr)


class Launch:
    """A kernel with its geometry and arguments.

    `args` may be given other values between launches (`launch.args[2].value = 5`); each launch takes them as
    they are when it is enqueued, and a graph as they were when it was captured.
    """

    def __init__(self, name: str, function: Any, config: Any, args: Sequence[Argument]) -> None:
        self.args: tuple[Any, ...] = tuple(args)
        self._name = name
        self._function = function
        self._config = config
        self._pointers = (c_void_p * len(args))(*(addressof(arg) for arg in self.args))
        self._parameters = addressof(self._pointers) if args else 0

    def enqueue(self, stream: Stream) -> None:
        """Launch it in `stream`. What goes wrong while it runs is raised by a later call.

        Raises:
            KernelLaunchFailed: the driver refused.
            DeviceLost: a kernel before this failed.
        """
        self._config.hStream = stream.handle
        result = driver.cuLaunchKernelEx(self._config, self._function, self._parameters, 0)
        if result[0]:
            check_launch(result, self._name)


class Kernel:
    """One kernel, loaded. It is unloaded with its context, if not before.

    Raises:
        KernelLaunchFailed: the driver does not take the machine code.
    """

    def __init__(self, name: str, cubin: Cubin, device: DeviceProperties) -> None:
        self.name = name
        self._device = device
        self._dynamic_shared_bytes = 0
        self._module = check_launch(driver.cuModuleLoadData(cubin.image), name)
        self._function = check_launch(driver.cuModuleGetFunction(self._module, cubin.symbol.encode()), name)
        check_launch(driver.cuFuncLoad(self._function), name)  # now, not lazily by the first launch
        shared_size = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES
        self._static_shared_bytes = int(
            check_launch(driver.cuFuncGetAttribute(shared_size, self._function), name)
        )
        self._parameter_sizes = self._read_parameter_sizes()
        # The context prefers L1. Most kernels stage their data in shared memory, and all get the same: a
        # multiprocessor that divides its memory anew must be empty first, and kernels do not overlap.
        carveout = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT
        self._set(carveout, _LARGEST_CARVEOUT_PERCENT)

    def bind(
        self,
        grid: Dimensions,
        block: Dimensions,
        args: Sequence[Argument],
        *,
        shared_bytes: int = 0,
        overlaps: bool = False,
        cooperative: bool = False,
    ) -> Launch:
        """Prepare a launch.

        Args:
            grid: blocks, in up to three dimensions.
            block: threads of a block, likewise.
            args: in the kernel's order; scalars and structures of ctypes, device pointers by `pointer`.
            shared_bytes: dynamic shared memory of a block.
            overlaps: it may begin while the launch before it ends (programmatic dependent launch): the kernel
                itself waits, with `griddepcontrol.wait`, before it touches what that one writes. Devices that
                cannot do it ignore it.
            cooperative: all blocks run at once, so that they can wait for each other.

        Raises:
            KernelLaunchFailed: the geometry is not the device's, or the arguments are not the kernel's.
        """
        grid_xyz, block_xyz = _three(grid), _three(block)
        self._check_geometry(grid_xyz, block_xyz, shared_bytes)
        self._check_arguments(args)
        self._allow_shared(shared_bytes)
        config = driver.CUlaunchConfig()
        config.gridDimX, config.gridDimY, config.gridDimZ = grid_xyz
        config.blockDimX, config.blockDimY, config.blockDimZ = block_xyz
        config.sharedMemBytes = shared_bytes
        can_overlap = self._device.features.has_dependent_launch
        attributes = _attributes(overlaps=overlaps and can_overlap, cooperative=cooperative)
        config.attrs, config.numAttrs = attributes, len(attributes)
        return Launch(self.name, self._function, config, args)

    def close(self) -> None:
        """Unload it. No launch of it may be under way, nor follow."""
        check_release(driver.cuModuleUnload(self._module), "cuModuleUnload")

    def _check_geometry(
        self, grid: tuple[int, int, int], block: tuple[int, int, int], shared_bytes: int
    ) -> None:
        num_threads = block[0] * block[1] * block[2]
        if min(grid) < 1 or max(grid[1:]) > _MAX_GRID_YZ or grid[0] >= 2**31:
            raise self._refusal(f"grid {grid} is out of range")
        if min(block) < 1 or num_threads > _MAX_BLOCK_THREADS:
            raise self._refusal(
                f"block {block} has {num_threads} threads; 1 to {_MAX_BLOCK_THREADS} are possible"
            )
        total_bytes, max_bytes = self._static_shared_bytes + shared_bytes, self._device.max_shared_bytes
        if shared_bytes < 0 or total_bytes > max_bytes:
            raise self._refusal(
                f"a block needs {total_bytes} bytes of shared memory; the device has {max_bytes}"
            )

    def _check_arguments(self, args: Sequence[Argument]) -> None:
        """The driver reads as many bytes as the kernel declares, whatever lies behind the pointers."""
        sizes = [sizeof(arg) for arg in args]
        if sizes != self._parameter_sizes:
            raise self._refusal(f"arguments of {sizes} bytes; it takes {self._parameter_sizes}")

    def _allow_shared(self, shared_bytes: int) -> None:
        if shared_bytes <= self._dynamic_shared_bytes:
            return
        self._dynamic_shared_bytes = shared_bytes
        attributes = driver.CUfunction_attribute
        self._set(attributes.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, shared_bytes)

    def _set(self, attribute: Any, value: int) -> None:
        check_launch(driver.cuFuncSetAttribute(self._function, attribute, value), self.name)

    def _read_parameter_sizes(self) -> list[int]:
        sizes: list[int] = []
        while True:
            status, _, size_bytes = driver.cuFuncGetParamInfo(self._function, len(sizes))
            if status == driver.CUresult.CUDA_ERROR_INVALID_VALUE:  # one past the last
                return sizes
            check_launch((status,), self.name)
            sizes.append(int(size_bytes))

    def _refusal(self, reason: str) -> KernelLaunchFailed:
        return KernelLaunchFailed(f"kernel {self.name} could not be launched: {reason}", kernel=self.name)


def _three(dimensions: Dimensions) -> tuple[int, int, int]:
    given = (dimensions,) if isinstance(dimensions, int) else dimensions
    x, y, z = (*given, 1, 1, 1)[:3]
    return x, y, z


def _attributes(*, overlaps: bool, cooperative: bool) -> list[Any]:
    ids, chosen = driver.CUlaunchAttributeID, []
    if overlaps:
        attribute = driver.CUlaunchAttribute()
        attribute.id = ids.CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION
        attribute.value.programmaticStreamSerializationAllowed = 1
        chosen.append(attribute)
    if cooperative:
        attribute = driver.CUlaunchAttribute()
        attribute.id = ids.CU_LAUNCH_ATTRIBUTE_COOPERATIVE
        attribute.value.cooperative = 1
        chosen.append(attribute)
    return chosen
