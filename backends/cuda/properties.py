"""What the driver says about a device before anything is created on it."""

from dataclasses import dataclass

from backends.cuda.bindings import driver
from backends.cuda.errors import check
from backends.cuda.features import DeviceFeatures
from domain.errors import DeviceNotFound, InvalidDevice

_OLDEST_DRIVER = 13000  # CUDA 13.0, driver 580: older ones load no machine code of this compiler
_OLDEST_CAPABILITY = (8, 0)  # bfloat16 tensor cores, asynchronous copies


@dataclass(frozen=True, slots=True)
class DeviceProperties:
    """One device, unchanging."""

    ordinal: int
    name: str
    total_bytes: int
    compute_capability: tuple[int, int]
    num_multiprocessors: int
    max_shared_bytes: int  # per block, once a kernel asks for more than 48 KiB
    driver_version: int  # of CUDA as the driver knows it: 13000 is 13.0

    @property
    def arch(self) -> str:
        """What kernels are compiled for, such as "sm_89"; "sm_90a" with what only that one has."""
        major, minor = self.compute_capability
        return f"sm_{major}{minor}{'a' if self.features.has_wgmma else ''}"

    @property
    def features(self) -> DeviceFeatures:
        return DeviceFeatures.of(self.compute_capability)

    @property
    def cuda_version(self) -> str:
        """Of the driver, such as "13.0"."""
        return f"{self.driver_version // 1000}.{self.driver_version % 1000 // 10}"


def device_count() -> int:
    """How many devices there are; creates nothing on them.

    Raises:
        DeviceNotFound: there is none, or no driver, or the packages are missing.
    """
    try:
        result = driver.cuInit(0)
    except RuntimeError as exc:  # what cuda.bindings raises for a library that is not there
        raise DeviceNotFound(
            "no NVIDIA driver: libcuda.so.1 was not found. Install driver 580 or newer, and give a container "
            "its GPU (docker run --gpus all). To run on the CPU, ask for it: --backend fake"
        ) from exc
    check(result, "cuInit")
    return int(check(driver.cuDeviceGetCount(), "cuDeviceGetCount"))


def read_properties(ordinal: int) -> DeviceProperties:
    """The device with index `ordinal`.

    Raises:
        InvalidDevice: there is none with that index.
        DeviceNotFound: as `device_count`; the driver or the device is too old.
    """
    num_devices = device_count()
    if not 0 <= ordinal < num_devices:
        raise InvalidDevice(f"there is no device {ordinal}: the driver lists {num_devices}, counted from 0")
    device = check(driver.cuDeviceGet(ordinal), "cuDeviceGet")
    attributes = driver.CUdevice_attribute

    def attribute(name: str) -> int:
        code = getattr(attributes, f"CU_DEVICE_ATTRIBUTE_{name}")
        return int(check(driver.cuDeviceGetAttribute(code, device), "cuDeviceGetAttribute"))

    properties = DeviceProperties(
        ordinal=ordinal,
        name=check(driver.cuDeviceGetName(256, device), "cuDeviceGetName").partition(b"\0")[0].decode(),
        total_bytes=int(check(driver.cuDeviceTotalMem(device), "cuDeviceTotalMem")),
        compute_capability=(attribute("COMPUTE_CAPABILITY_MAJOR"), attribute("COMPUTE_CAPABILITY_MINOR")),
        num_multiprocessors=attribute("MULTIPROCESSOR_COUNT"),
        max_shared_bytes=attribute("MAX_SHARED_MEMORY_PER_BLOCK_OPTIN"),
        driver_version=int(check(driver.cuDriverGetVersion(), "cuDriverGetVersion")),
    )
    check_age(properties)
    return properties


def check_age(device: DeviceProperties) -> None:
    """Refuse what cannot run these kernels.

    Raises:
        DeviceNotFound: the driver or the device is too old.
    """
    if device.driver_version < _OLDEST_DRIVER:
        raise DeviceNotFound(
            f"the NVIDIA driver knows CUDA {device.cuda_version}; 13.0 is needed: install 580 or newer"
        )
    if device.compute_capability < _OLDEST_CAPABILITY:
        major, minor = device.compute_capability
        raise DeviceNotFound(
            f"device {device.ordinal} ({device.name}) has compute capability {major}.{minor}; 8.0 is needed"
        )
