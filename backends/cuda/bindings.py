"""NVIDIA's driver API and runtime compiler, as `cuda-python` binds them.

They are an extra (M0-W-1700): everything here imports without them, and the first use says what is missing.
Both are untyped; the modules of this package hand typed objects out.
"""

from typing import NoReturn

from domain.errors import DeviceNotFound

__all__ = ["driver", "nvrtc"]


class _NotInstalled:
    """Stands for a module that is not there."""

    def __init__(self, reason: ImportError) -> None:
        self._reason = reason

    def __getattr__(self, name: str) -> NoReturn:
        raise DeviceNotFound(
            "the packages of the CUDA backend are not installed: pip install 'worker-orcd[cuda]'. "
            "To run on the CPU, ask for it: --backend fake"
        ) from self._reason


try:
    from cuda.bindings import driver, nvrtc
except ImportError as missing:
    driver = nvrtc = _NotInstalled(missing)
