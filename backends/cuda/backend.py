"""The CUDA backend's door. The kernels behind it are not built yet, and it says so."""

from domain.errors import DeviceNotFound
from ports.compute_backend import Device


class CudaBackend:
    """NVIDIA devices: none can be used until this backend has its kernels."""

    def device_count(self) -> int:
        return 0

    def open_device(self, device_id: int) -> Device:
        raise DeviceNotFound(
            f"device {device_id} not found: this version has no CUDA kernels yet, so it can use no GPU. "
            "To run on the CPU, ask for it: --backend fake"
        )
