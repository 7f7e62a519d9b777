"""The integer codes of the backend boundary, and the public codes they become (spec §21.2)."""

import pytest

from domain.errors import (
    BackendCode,
    DeviceError,
    DeviceLost,
    DeviceNotFound,
    InvalidDevice,
    KernelLaunchFailed,
    ModelLoadFailed,
    ResidencyLost,
    VramExhausted,
    WorkerError,
    error_message,
)

pytestmark = pytest.mark.req("M0-W-1501", "M0-W-1052", "M0-SYS-2.5.1")


@pytest.mark.parametrize(
    ("error", "backend_code", "code"),
    [
        (DeviceNotFound("no"), 1, "CUDA_ERROR"),
        (VramExhausted(required_bytes=2, available_bytes=1), 2, "VRAM_OOM"),
        (InvalidDevice("no"), 3, "CUDA_ERROR"),
        (ModelLoadFailed("no"), 4, "MODEL_LOAD_FAILED"),
        (DeviceError("no"), 5, "CUDA_ERROR"),
        (DeviceLost("no"), 5, "CUDA_ERROR"),
        (ResidencyLost("no"), 6, "CUDA_ERROR"),
        (KernelLaunchFailed("no"), 7, "CUDA_ERROR"),
        (WorkerError("anything else"), 99, "INTERNAL"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_every_error_of_a_backend_has_its_two_codes(error: WorkerError, backend_code: int, code: str) -> None:
    assert (backend_code, code) == (error.backend_code, error.code)


def test_every_code_has_a_text_of_its_own() -> None:
    texts = [error_message(code) for code in BackendCode]

    assert "success" == error_message(0)
    assert len(set(texts)) == len(texts) == 9


@pytest.mark.parametrize("code", [-1, 8, 98, 100])
def test_a_code_that_does_not_exist_reads_as_99(code: int) -> None:
    assert error_message(99) == error_message(code) == "unknown error"
