"""Host memory that copies read from: brought in the background, locked once, given back."""

from contextlib import closing

import numpy as np
import pytest

from backends.cuda import host_memory
from backends.cuda.host_memory import HostMemory
from domain.errors import DeviceError
from tests.backends.cuda.host_driver import HostDriver

pytestmark = pytest.mark.req("M0-W-1222")


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> HostDriver:
    driver = HostDriver()
    monkeypatch.setattr(host_memory, "driver", driver)
    return driver


def nothing_to_enter() -> None:
    """The driver has no contexts."""


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize("size_bytes", [1, 4096, 3 * 2**20 + 256])
def test_what_is_written_to_it_stays(size_bytes: int) -> None:
    values = np.arange(size_bytes, dtype=np.uint64).astype(np.uint8)
    with closing(HostMemory(size_bytes, nothing_to_enter)) as host:
        np.asarray(host.memory)[:] = values

        assert np.array_equal(values, np.asarray(host.memory))
        assert host.address == np.asarray(host.memory).ctypes.data


def test_it_is_locked_whole_in_the_context_and_unlocked_at_the_end(driver: HostDriver) -> None:
    pinned_on_entering: list[dict[int, int]] = []
    host = HostMemory(10_000, lambda: pinned_on_entering.append(dict(driver.pinned)))

    assert 10_000 == len(host.memory)
    assert [{}] == pinned_on_entering
    assert {host.address: 10_000} == driver.pinned

    host.close()
    assert {} == driver.pinned


def test_what_cannot_be_locked_is_an_error_where_it_is_asked_for_and_not_unlocked(driver: HostDriver) -> None:
    driver.locks_memory = False
    host = HostMemory(10_000, nothing_to_enter)

    with pytest.raises(DeviceError, match="cuMemHostRegister"):
        _ = host.memory
    host.close()


def test_more_than_the_system_has_is_an_error_that_says_how_much() -> None:
    with pytest.raises(DeviceError, match=r"\d+ bytes of host memory to copy from"):
        HostMemory(2**62, nothing_to_enter)
