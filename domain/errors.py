"""Every error that crosses a port.

WorkerError
├── RequestError       the caller can fix it       → 400   InvalidRequest
├── DuplicateJob       that job is running now     → 409
├── CapacityError      try again later             → 503   WorkerBusy, ShuttingDown, WorkerUnhealthy
├── JobError           a job ended early           → inside its stream
│   ├── JobCancelled   cancel, disconnect, shutdown
│   └── InferenceTimeout
├── StartupError       refuse to start             → exit status 1
│   ├── InvalidConfiguration   ModelLoadFailed   InsufficientVram   CallbackFailed
├── VramExhausted      an allocation failed        → VRAM_OOM inside the stream; the worker goes on
└── DeviceError        driver, launch, arithmetic  → CUDA_ERROR; the job is lost
    ├── DeviceNotFound refuse to start
    ├── ResidencyLost  memory has left the device: unhealthy for good
    └── DeviceLost     the context is gone: unhealthy for good

Each class has a stable public `code` and says whether the same call may succeed elsewhere or later
(`retriable`). Errors a backend raises carry the integer `backend_code` of spec §21.2 as well; what it was not
meant to raise is a plain WorkerError, code 99.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar


class BackendCode(IntEnum):
    """Integer codes of the backend boundary (M0-W-1501)."""

    SUCCESS = 0
    DEVICE_NOT_FOUND = 1
    OUT_OF_MEMORY = 2
    INVALID_DEVICE = 3
    MODEL_LOAD_FAILED = 4
    INFERENCE_FAILED = 5
    RESIDENCY_FAILED = 6
    KERNEL_LAUNCH_FAILED = 7
    UNKNOWN = 99


class WorkerError(Exception):
    """Base of all errors here; unknown failures are reported as it."""

    code: ClassVar[str] = "INTERNAL"
    retriable: ClassVar[bool] = True
    backend_code: ClassVar[BackendCode] = BackendCode.UNKNOWN

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.facts: Mapping[str, object] = facts


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field of a request that does not hold."""

    field: str
    constraint: str
    message: str
    value: str | None = None  # left out for prompt and stop


class RequestError(WorkerError):
    """The caller can fix it."""

    code = "INVALID_REQUEST"
    retriable = False


class InvalidRequest(RequestError):
    """One or more fields do not hold, or the body is no JSON object (then `errors` is empty)."""

    def __init__(self, message: str, *, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(message)
        self.errors = tuple(errors)

    @classmethod
    def of(cls, errors: Sequence[FieldError]) -> "InvalidRequest":
        """The error that reports all of `errors` at once."""
        noun = "field is" if len(errors) == 1 else "fields are"
        return cls(f"{len(errors)} {noun} invalid", errors=errors)


class DuplicateJob(RequestError):
    """The job id is that of the job now running."""


class CapacityError(WorkerError):
    """Not now."""


class WorkerBusy(CapacityError):
    """Every slot is taken."""

    code = "WORKER_BUSY"


class ShuttingDown(CapacityError):
    """The worker is draining."""

    code = "SHUTTING_DOWN"


class WorkerUnhealthy(CapacityError):
    """The device cannot be trusted any more; only another worker can help."""

    code = "WORKER_UNHEALTHY"
    retriable = False


class JobError(WorkerError):
    """A job ended before its answer did."""


class JobCancelled(JobError):
    """Cancelled by request, by the client's leaving, or by shutdown."""

    code = "CANCELLED"
    retriable = False


class InferenceTimeout(JobError):
    """The job ran longer than the worker allows."""

    code = "INFERENCE_TIMEOUT"


class StartupError(WorkerError):
    """The worker refuses to start."""

    retriable = False


class InvalidConfiguration(StartupError):
    """A setting is wrong, or the port is taken."""

    code = "INVALID_REQUEST"


class ModelLoadFailed(StartupError):
    """The model file cannot be served: missing, malformed, unsupported."""

    code = "MODEL_LOAD_FAILED"
    backend_code = BackendCode.MODEL_LOAD_FAILED


class InsufficientVram(StartupError):
    """The model does not fit, for `reason`; carries required and available bytes, device and path."""

    code = "INSUFFICIENT_VRAM"
    retriable = True

    def __init__(
        self, reason: str, *, required_bytes: int, available_bytes: int, gpu_device: int, path: str
    ) -> None:
        super().__init__(
            f"{path} {reason}. Use a smaller model or --kv-cache-size-mb, or free the device.",
            vram_required_bytes=required_bytes,
            vram_available_bytes=available_bytes,
            gpu_device=gpu_device,
            model_path=path,
        )


class CallbackFailed(StartupError):
    """The pool manager could not be told that the worker is ready."""


class VramExhausted(WorkerError):
    """A device allocation failed."""

    code = "VRAM_OOM"
    retriable = False
    backend_code = BackendCode.OUT_OF_MEMORY

    def __init__(self, *, required_bytes: int, available_bytes: int) -> None:
        super().__init__(
            f"out of device memory: {required_bytes} bytes needed, {available_bytes} available",
            vram_required_bytes=required_bytes,
            vram_available_bytes=available_bytes,
        )
        self.required_bytes = required_bytes
        self.available_bytes = available_bytes


class DeviceError(WorkerError):
    """Driver, launch or arithmetic failed; what was running is lost."""

    code = "CUDA_ERROR"
    backend_code = BackendCode.INFERENCE_FAILED


class KernelLaunchFailed(DeviceError):
    """A kernel could not be launched."""

    backend_code = BackendCode.KERNEL_LAUNCH_FAILED


class DeviceNotFound(DeviceError):
    """There is no such device, or none at all."""

    backend_code = BackendCode.DEVICE_NOT_FOUND


class InvalidDevice(DeviceError):
    """The index names no device."""

    backend_code = BackendCode.INVALID_DEVICE


class ResidencyLost(DeviceError):
    """Memory that must be on the device is not."""

    backend_code = BackendCode.RESIDENCY_FAILED


class DeviceLost(DeviceError):
    """The device context is gone; nothing on it can be used again."""


_BACKEND_MESSAGES: dict[BackendCode, str] = {
    BackendCode.SUCCESS: "success",
    BackendCode.DEVICE_NOT_FOUND: "device not found",
    BackendCode.OUT_OF_MEMORY: "out of memory",
    BackendCode.INVALID_DEVICE: "invalid device",
    BackendCode.MODEL_LOAD_FAILED: "model load failed",
    BackendCode.INFERENCE_FAILED: "inference failed",
    BackendCode.RESIDENCY_FAILED: "residency check failed",
    BackendCode.KERNEL_LAUNCH_FAILED: "kernel launch failed",
    BackendCode.UNKNOWN: "unknown error",
}


def error_message(code: int) -> str:
    """The fixed text of a backend code; an unknown one reads as code 99."""
    known = code if code in _BACKEND_MESSAGES else BackendCode.UNKNOWN
    return _BACKEND_MESSAGES[BackendCode(known)]
