"""All kernels of a model, compiled, loaded, and bound to what they are launched with."""

from collections.abc import Iterable

from backends.cuda.call import Call
from backends.cuda.compiler import Compiler, KernelSource
from backends.cuda.kernel import Kernel, Launch
from backends.cuda.properties import DeviceProperties


class KernelSet:
    """Kernels by their source.

    Args:
        compiler: for the device's architecture.
        device: where they are loaded.
    """

    def __init__(self, compiler: Compiler, device: DeviceProperties) -> None:
        self._compiler = compiler
        self._device = device
        self.kernels: dict[KernelSource, Kernel] = {}

    def load(self, sources: Iterable[KernelSource]) -> None:
        """Compile and load those that are missing.

        Raises:
            DeviceError: one does not compile, or the driver does not take it.
        """
        missing = [source for source in dict.fromkeys(sources) if source not in self.kernels]
        for source, cubin in self._compiler.compile(missing).items():
            self.kernels[source] = Kernel(source.name, cubin, self._device)

    def bind(self, call: Call) -> Launch:
        """The launch of `call`, whose kernel is loaded. It may begin while the one before it ends."""
        return self.kernels[call.source].bind(
            call.grid,
            call.num_threads,
            call.args,
            shared_bytes=call.shared_bytes,
            overlaps=not call.is_cooperative,
            cooperative=call.is_cooperative,
        )

    def close(self) -> None:
        """Unload all of them; nothing of theirs may be under way."""
        for kernel in self.kernels.values():
            kernel.close()
        self.kernels.clear()
