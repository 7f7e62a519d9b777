"""A device in the hands of a test: arrays up and down, kernels by their names."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from backends.cuda.compiler import Compiler, KernelSource
from backends.cuda.context import Context
from backends.cuda.kernel import Argument, Dimensions, Kernel
from backends.cuda.memory import DeviceMemory
from backends.cuda.stream import Stream
from ports.memory import MemoryClass

CACHE_DIR = Path(__file__).parents[2] / ".cache" / "kernels"
POISON = 0xFF  # four, or two, of these bytes are NaN as float32, float16 and bfloat16


@dataclass
class Gpu:
    """Everything a kernel test does with the device. `memory` is freed after the test."""

    context: Context
    compiler: Compiler
    stream: Stream
    memory: DeviceMemory
    kernels: dict[KernelSource, Kernel] = field(default_factory=dict)  # loaded ones, of all tests

    def empty(self, size_bytes: int) -> int:
        """A device pointer to `size_bytes` of poison."""
        buffer = self.memory.allocate(MemoryClass.SCRATCH, max(size_bytes, 1))
        self.fill(buffer.d_ptr, POISON, buffer.size_bytes)
        return buffer.d_ptr

    def fill(self, d_ptr: int, byte: int, size_bytes: int) -> None:
        self.stream.memset_async(d_ptr, byte, size_bytes)
        self.stream.synchronize()

    def upload(self, array: NDArray[Any]) -> int:
        """A device pointer to a copy of `array`."""
        array = np.ascontiguousarray(array)
        d_ptr = self.empty(array.nbytes)
        if array.nbytes:
            self.stream.copy_to_device_async(d_ptr, array.ctypes.data, array.nbytes)
            self.stream.synchronize()
        return d_ptr

    def download(self, d_ptr: int, shape: int | tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        array = np.empty(shape, dtype)
        if array.nbytes:
            self.stream.copy_to_host_async(array.ctypes.data, d_ptr, array.nbytes)
            self.stream.synchronize()
        return array

    def compile(self, *kernels: tuple[str, str]) -> None:
        """Load kernels, given as (file, name), that are not loaded yet; many at once compile in parallel."""
        sources = [
            source for source in (KernelSource(*kernel) for kernel in kernels) if source not in self.kernels
        ]
        for source, cubin in self.compiler.compile(sources).items():
            self.kernels[source] = Kernel(source.name, cubin, self.context.properties)

    def kernel(self, file: str, name: str) -> Kernel:
        self.compile((file, name))
        return self.kernels[KernelSource(file, name)]

    def launch(
        self,
        file: str,
        name: str,
        grid: Dimensions,
        block: Dimensions,
        args: Sequence[Argument],
        *,
        shared_bytes: int = 0,
        overlaps: bool = False,
        cooperative: bool = False,
    ) -> None:
        """Launch a kernel once and wait for it."""
        kernel = self.kernel(file, name)
        launch = kernel.bind(
            grid, block, args, shared_bytes=shared_bytes, overlaps=overlaps, cooperative=cooperative
        )
        launch.enqueue(self.stream)
        self.stream.synchronize()
