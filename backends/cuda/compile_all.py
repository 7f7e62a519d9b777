"""Every kernel for every architecture, where there is no GPU: what holds a change before a device does."""

from collections.abc import Iterable, Sequence
from importlib.resources.abc import Traversable
from pathlib import Path

from backends.cuda.compiler import Compiler, KernelSource
from backends.cuda.cubin import Cubin

ARCHS = ("sm_80", "sm_86", "sm_89", "sm_90a", "sm_100", "sm_120")


def compile_everything(
    sources: Iterable[KernelSource],
    *,
    archs: Iterable[str] = ARCHS,
    cache_dir: Path | None = None,
    directories: Sequence[Traversable] = (),
) -> dict[tuple[str, KernelSource], Cubin]:
    """Each kernel for each architecture, by (architecture, kernel). The arguments are those of `Compiler`.

    Raises:
        DeviceError: one does not compile.
        DeviceNotFound: the compiler is not installed.
    """
    wanted = list(sources)
    return {
        (arch, source): cubin
        for arch in archs
        for source, cubin in Compiler(arch, cache_dir, directories).compile(wanted).items()
    }


def complaints(cubins: dict[tuple[str, KernelSource], Cubin]) -> list[str]:
    """One line for each warning, and for each kernel that keeps registers or arrays in local memory."""
    lines = []
    for (arch, source), cubin in cubins.items():
        resources = cubin.resources
        if resources.stack_bytes or resources.spill_bytes:
            lines.append(
                f"{source.name} ({source.file}, {arch}): {resources.stack_bytes} bytes of local memory, "
                f"{resources.spill_bytes} bytes spilled, {resources.registers} registers"
            )
        lines.extend(f"{source.name} ({source.file}, {arch}): {warning}" for warning in cubin.warnings)
    return lines
