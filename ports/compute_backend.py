"""The port to a kind of compute device."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ports.loaded_model import LoadedModel
from ports.memory import MemoryPlan
from ports.model_description import ModelDescription
from ports.model_file import ModelFile

OnProgress = Callable[[int, int], None]  # (bytes done, bytes in all), called with 0 first and the total last


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """Properties of one opened device."""

    device_id: int
    name: str
    total_bytes: int
    free_bytes: int
    prefill_chunk_tokens: int  # of a prompt at once at most: a cancel waits for it; never depends on load
    compute_capability: int | None = None  # 90 for sm_90
    runtime_version: str | None = None
    features: tuple[str, ...] = ()  # what its kernels use that not every such device has


class Device(Protocol):
    """One opened device. Not thread-safe: the thread that opened it owns it."""

    def info(self) -> DeviceInfo: ...

    def load_model(
        self,
        description: ModelDescription,
        file: ModelFile,
        plan: MemoryPlan,
        *,
        chunk_bytes: int,
        on_progress: OnProgress,
    ) -> LoadedModel:
        """Allocate what `plan` says and stream the tensors of `file` up in pieces of at most `chunk_bytes`.

        Raises:
            VramExhausted: an allocation of the plan failed; everything was freed.
            ModelLoadFailed: a copy failed, or the device holds a model already (one model for life).
        """
        ...

    def close(self) -> None:
        """Release the device and everything on it. Idempotent; never raises."""
        ...


class ComputeBackend(Protocol):
    """One kind of compute device. Silent: it neither logs nor prints."""

    def device_count(self) -> int:
        """How many devices there are; 0 where driver or library is missing."""
        ...

    def open_device(self, device_id: int) -> Device:
        """Create the context of one device and verify its memory settings.

        Raises:
            DeviceNotFound: there is no device at all; the message says why.
            InvalidDevice: there are devices, but none of that index.
            DeviceError: the driver failed.
        """
        ...
