"""NVIDIA devices through the driver API: quantized weights and everything computed with them in VRAM."""

from typing import TYPE_CHECKING

from backends.cuda.context import Context
from backends.cuda.properties import device_count
from domain.errors import DeviceNotFound

if TYPE_CHECKING:
    from backends.cuda.device import CudaDevice


class CudaBackend:
    """A `ComputeBackend` of all NVIDIA devices the driver lists."""

    def device_count(self) -> int:
        try:
            return device_count()
        except DeviceNotFound:
            return 0

    def open_device(self, device_id: int) -> "CudaDevice":
        try:
            context = Context.open(device_id)
        except DeviceNotFound as error:
            raise DeviceNotFound(f"device {device_id} not found: {error.message}") from error
        # Only now: the driver takes long and needs no interpreter, so that others import meanwhile.
        from backends.cuda.device import CudaDevice  # noqa: PLC0415

        return CudaDevice(context)
