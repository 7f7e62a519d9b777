"""Every result of the driver is one of the backend's errors. Needs no GPU: the codes are in the bindings."""

import pytest
from cuda.bindings import driver

from backends.cuda.errors import check, check_launch, check_release
from domain.errors import (
    BackendCode,
    DeviceError,
    DeviceLost,
    DeviceNotFound,
    InvalidDevice,
    KernelLaunchFailed,
)

pytestmark = pytest.mark.req("M0-W-1501", "M0-W-1052")

RESULTS = driver.CUresult.__members__
CONTEXT_LOST = """
    DEINITIALIZED ECC_UNCORRECTABLE NVLINK_UNCORRECTABLE CONTAINED ILLEGAL_ADDRESS LAUNCH_TIMEOUT
    CONTEXT_IS_DESTROYED ASSERT HARDWARE_STACK_ERROR ILLEGAL_INSTRUCTION MISALIGNED_ADDRESS
    INVALID_ADDRESS_SPACE INVALID_PC LAUNCH_FAILED TENSOR_MEMORY_LEAK EXTERNAL_DEVICE MPS_RPC_FAILURE
    MPS_CLIENT_TERMINATED
""".split()
NO_USABLE_DEVICE = """
    NO_DEVICE STUB_LIBRARY CALL_REQUIRES_NEWER_DRIVER DEVICE_UNAVAILABLE DEVICE_NOT_LICENSED SYSTEM_NOT_READY
    SYSTEM_DRIVER_MISMATCH COMPAT_NOT_SUPPORTED_ON_DEVICE
""".split()
EXPECTED: dict[str, type[DeviceError]] = {
    **dict.fromkeys(CONTEXT_LOST, DeviceLost),
    **dict.fromkeys(NO_USABLE_DEVICE, DeviceNotFound),
    "INVALID_DEVICE": InvalidDevice,
}
FAILURES = [name.removeprefix("CUDA_ERROR_") for name in RESULTS if name != "CUDA_SUCCESS"]


@pytest.mark.parametrize("name", FAILURES)
def test_every_failure_is_an_error_that_names_the_call(name: str) -> None:
    with pytest.raises(DeviceError) as failure:
        check((RESULTS[f"CUDA_ERROR_{name}"],), "cuSomeCall")

    assert EXPECTED.get(name, DeviceError) is type(failure.value)
    assert failure.value.message.startswith(f"cuSomeCall: CUDA_ERROR_{name}")


def test_where_memory_is_missing_the_error_says_where_to_look() -> None:
    with pytest.raises(DeviceError, match="too little is free; nvidia-smi lists who holds"):
        check((driver.CUresult.CUDA_ERROR_OUT_OF_MEMORY,), "cuDevicePrimaryCtxRetain")


def test_the_table_knows_no_result_that_the_driver_does_not() -> None:
    assert set() == set(EXPECTED) - set(FAILURES)


@pytest.mark.parametrize("name", FAILURES)
def test_a_refused_launch_is_an_error_that_names_the_kernel(name: str) -> None:
    with pytest.raises(DeviceError) as failure:
        check_launch((RESULTS[f"CUDA_ERROR_{name}"],), "matvec<Q4_K, 2>")

    assert (DeviceLost if name in CONTEXT_LOST else KernelLaunchFailed) is type(failure.value)
    assert "matvec<Q4_K, 2>" in failure.value.message


def test_the_integer_codes_are_those_of_the_boundary() -> None:
    codes = {
        "NO_DEVICE": BackendCode.DEVICE_NOT_FOUND,
        "INVALID_DEVICE": BackendCode.INVALID_DEVICE,
        "LAUNCH_FAILED": BackendCode.INFERENCE_FAILED,
        "INVALID_VALUE": BackendCode.INFERENCE_FAILED,
    }
    for name, code in codes.items():
        with pytest.raises(DeviceError) as failure:
            check((RESULTS[f"CUDA_ERROR_{name}"],), "cuSomeCall")

        assert code == failure.value.backend_code


def test_an_answer_comes_out_of_its_tuple() -> None:
    success = RESULTS["CUDA_SUCCESS"]

    assert check((success,), "cuNothing") is None
    assert 7 == check((success, 7), "cuOne")
    assert (7, 8) == check((success, 7, 8), "cuTwo")


def test_giving_back_is_quiet_on_a_lost_context_and_on_no_other_failure() -> None:
    check_release((RESULTS["CUDA_ERROR_LAUNCH_FAILED"],), "cuMemFree")
    with pytest.raises(DeviceError, match="cuMemFree: CUDA_ERROR_INVALID_VALUE"):
        check_release((RESULTS["CUDA_ERROR_INVALID_VALUE"],), "cuMemFree")
