"""The driver's result codes as errors of `domain/errors.py`.

Every call of `cuda.bindings` returns a tuple: the result, then what the call answers.
"""

from contextlib import suppress
from typing import Any

from domain.errors import DeviceError, DeviceLost, DeviceNotFound, InvalidDevice, KernelLaunchFailed

# After these the context is dead: each later call on it fails in the same way, until the process ends.
# Source: the CUresult descriptions in the CUDA Driver API reference.
_CONTEXT_LOST = frozenset(
    {
        "CUDA_ERROR_DEINITIALIZED",
        "CUDA_ERROR_ECC_UNCORRECTABLE",
        "CUDA_ERROR_NVLINK_UNCORRECTABLE",
        "CUDA_ERROR_CONTAINED",
        "CUDA_ERROR_ILLEGAL_ADDRESS",
        "CUDA_ERROR_LAUNCH_TIMEOUT",
        "CUDA_ERROR_CONTEXT_IS_DESTROYED",
        "CUDA_ERROR_ASSERT",
        "CUDA_ERROR_HARDWARE_STACK_ERROR",
        "CUDA_ERROR_ILLEGAL_INSTRUCTION",
        "CUDA_ERROR_MISALIGNED_ADDRESS",
        "CUDA_ERROR_INVALID_ADDRESS_SPACE",
        "CUDA_ERROR_INVALID_PC",
        "CUDA_ERROR_LAUNCH_FAILED",
        "CUDA_ERROR_TENSOR_MEMORY_LEAK",
        "CUDA_ERROR_EXTERNAL_DEVICE",
        "CUDA_ERROR_MPS_RPC_FAILURE",
        "CUDA_ERROR_MPS_CLIENT_TERMINATED",
    }
)

_WHAT_TO_DO = {
    "CUDA_ERROR_NO_DEVICE": "there is no NVIDIA GPU, or CUDA_VISIBLE_DEVICES hides it",
    "CUDA_ERROR_STUB_LIBRARY": "libcuda.so.1 is a stub for building: put the real driver library first",
    "CUDA_ERROR_CALL_REQUIRES_NEWER_DRIVER": "the driver is too old: install version 580 or newer",
    "CUDA_ERROR_DEVICE_UNAVAILABLE": "another process holds the device exclusively",
    "CUDA_ERROR_DEVICE_NOT_LICENSED": "the device has no license to compute",
    "CUDA_ERROR_SYSTEM_NOT_READY": "the system is not ready: is the fabric manager running?",
    "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH": "libcuda and the kernel's driver differ: reboot or reinstall",
    "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE": "the compatibility package does not cover this device",
}


def check(result: tuple[Any, ...], call: str) -> Any:
    """What the driver call `call` answered: nothing, a value, or a tuple of values.

    Raises:
        DeviceLost: the context is dead, by this call or by a kernel before it.
        DeviceNotFound: no device can be used, with what to do about it.
        InvalidDevice: the index names no device.
        DeviceError: any other failure.
    """
    status, *values = result
    if status:
        raise error_of(status.name, call)
    return values[0] if len(values) == 1 else tuple(values) or None


def check_launch(result: tuple[Any, ...], kernel: str) -> Any:
    """`check` for loading and launching `kernel`.

    Raises:
        DeviceLost: as `check`.
        KernelLaunchFailed: the driver refused the kernel or the launch.
    """
    status = result[0]
    if status and status.name not in _CONTEXT_LOST:
        raise KernelLaunchFailed(f"kernel {kernel} could not be launched: {status.name}", kernel=kernel)
    return check(result, f"kernel {kernel}")


def check_release(result: tuple[Any, ...], call: str) -> None:
    """`check` for a call that gives something back; a lost context holds nothing any more."""
    with suppress(DeviceLost):
        check(result, call)


def error_of(name: str, call: str) -> DeviceError:
    """The error for the driver's result `name`, a `CUresult` such as "CUDA_ERROR_ILLEGAL_ADDRESS"."""
    if name in _CONTEXT_LOST:
        return DeviceLost(f"{call}: {name}; the device context is lost, only a restart helps")
    if name in _WHAT_TO_DO:
        return DeviceNotFound(f"{call}: {name}: {_WHAT_TO_DO[name]}")
    if name == "CUDA_ERROR_INVALID_DEVICE":
        return InvalidDevice(f"{call}: {name}: no device has that index")
    if name == "CUDA_ERROR_OUT_OF_MEMORY":  # of a context or of host memory; what a model takes is counted
        return DeviceError(f"{call}: {name}: too little is free; nvidia-smi lists who holds the device's")
    return DeviceError(f"{call}: {name}")
