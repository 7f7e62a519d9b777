"""A kernel launch as data: what to compile, and how to launch it."""

import ctypes
from dataclasses import dataclass

from backends.cuda.compiler import KernelSource
from ports.tensor_types import TensorType

Argument = ctypes.Structure | ctypes.c_uint64 | ctypes.c_int32 | ctypes.c_int64 | ctypes.c_float


@dataclass(frozen=True, slots=True)
class Call:
    """One launch. Made from addresses alone: what a model needs can be compiled where no device is."""

    source: KernelSource
    grid: tuple[int, ...]  # of up to three dimensions
    num_threads: int
    args: tuple[Argument, ...]
    shared_bytes: int = 0  # dynamic
    is_cooperative: bool = False


def kernel_name(kernel: str, *arguments: TensorType | int | str) -> str:
    """A template with its arguments, tensor types by their names."""
    shown = (argument.name if isinstance(argument, TensorType) else str(argument) for argument in arguments)
    return f"{kernel}<{', '.join(shown)}>"
