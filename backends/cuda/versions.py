"""What this machine has for this backend, in lines for people."""

from collections.abc import Iterator

from backends.cuda.program import nvrtc_version
from backends.cuda.properties import DeviceProperties, device_count, read_properties
from domain.errors import WorkerError


def describe_machine() -> Iterator[str]:
    """The compiler, then each device with the choices made for it, or why there is none.

    Creates no context, and never fails: it is asked where something is wrong.
    """
    try:
        yield f"NVRTC {nvrtc_version()}"
    except WorkerError as error:
        yield f"no NVRTC: {error.message}"
    try:
        num_devices = device_count()
    except WorkerError as error:
        yield f"no device: {error.message}"
        return
    for ordinal in range(num_devices):
        yield f"device {ordinal}: {_describe(ordinal)}"


def _describe(ordinal: int) -> str:
    try:
        return describe_device(read_properties(ordinal))
    except WorkerError as error:
        return error.message


def describe_device(device: DeviceProperties) -> str:
    """One device and what its kernels use, in one line."""
    major, minor = device.compute_capability
    return (
        f"{device.name}, compute capability {major}.{minor}, {device.total_bytes / 2**30:.1f} GiB, "
        f"{device.num_multiprocessors} multiprocessors, driver of CUDA {device.cuda_version}; "
        f"uses {', '.join(device.features.choices)}"
    )
