"""What a device can do that not every supported one can, and that is therefore chosen around."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeviceFeatures:
    """What kernels, and who launches them, may use. Decided before anything is compiled."""

    has_dependent_launch: bool  # a kernel can begin while the one before it ends: `__CUDA_ARCH__` >= 900
    has_wgmma: bool  # matrix products of four warps, which compute capability 9.0 has and no later one

    @classmethod
    def of(cls, compute_capability: tuple[int, int]) -> "DeviceFeatures":
        """The features of a (major, minor) that is at least (8, 0)."""
        return cls(has_dependent_launch=compute_capability >= (9, 0), has_wgmma=compute_capability == (9, 0))

    @property
    def choices(self) -> tuple[str, ...]:
        """What is used, by name, for the log and for people; every supported device copies asynchronously."""
        return (
            "cp.async",
            "wgmma" if self.has_wgmma else "mma.sync",
            *(("dependent-launch",) if self.has_dependent_launch else ()),
        )
