"""The file is read while the device opens; what goes wrong is told in the order of the steps."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adapters_outbound.gguf.opener import GgufModelFileOpener
from app.file_reading import FileReading
from backends.fake.backend import FakeBackend, FakeDevice
from domain.errors import DeviceError, ModelLoadFailed
from tests.support.in_process import run, settings_with
from tests.support.tiny_gguf import write_tiny_gguf

pytestmark = pytest.mark.req("M0-W-1110", "M0-W-1111")


def is_open(path: str) -> bool:
    descriptors = Path("/proc/self/fd").iterdir()
    return path in [os.readlink(descriptor) for descriptor in descriptors if descriptor.is_symlink()]


class Backend(FakeBackend):
    """Does something while its device opens."""

    def __init__(self, while_opening: Callable[[], None], total_bytes: int = 2**30) -> None:
        super().__init__(total_bytes)
        self._while_opening = while_opening

    def open_device(self, device_id: int) -> FakeDevice:
        self._while_opening()
        return super().open_device(device_id)


def read(path: str, *, tokenizer_option: str | None = None) -> FileReading:
    with ThreadPoolExecutor(1) as executor:
        return FileReading(
            executor, make_opener=GgufModelFileOpener, path=path, tokenizer_option=tokenizer_option
        )


def fail() -> None:
    raise DeviceError("cuInit: CUDA_ERROR_UNKNOWN")


def test_the_file_is_opened_while_the_device_is(tmp_path: Path) -> None:
    settings = settings_with(tmp_path)
    seen: list[bool] = []

    def wait_for_the_file() -> None:
        deadline_s = time.monotonic() + 10
        while not is_open(settings.model) and time.monotonic() < deadline_s:
            time.sleep(0.001)
        seen.append(is_open(settings.model))

    status, narrator = run(settings, Backend(wait_for_the_file))

    assert (0, [True]) == (status, seen)
    names = narrator.names()
    assert ["startup", "model_load_start", "model_load_progress"] == names[:3]
    assert not is_open(settings.model)


def test_a_device_that_does_not_open_is_told_before_a_file_that_is_none(tmp_path: Path) -> None:
    settings = settings_with(tmp_path)
    Path(settings.model).write_bytes(b"no model")

    status, narrator = run(settings, Backend(fail))

    assert (1, ["CUDA_ERROR"]) == (status, [error["error_kind"] for error in narrator.named("error")])


def test_a_file_that_was_opened_for_nothing_is_closed(tmp_path: Path) -> None:
    settings = settings_with(tmp_path)

    status, _ = run(settings, Backend(fail))

    assert (1, False) == (status, is_open(settings.model))


@pytest.mark.req("M0-W-1360")
def test_a_broken_tokenizer_is_told_before_memory_that_is_too_small(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{")
    settings = settings_with(tmp_path, tokenizer=str(tmp_path / "tokenizer.json"))

    status, narrator = run(settings, Backend(lambda: None, total_bytes=2**20))

    assert (1, ["MODEL_LOAD_FAILED"]) == (status, [error["error_kind"] for error in narrator.named("error")])
    assert "tokenizer.json" in narrator.named("error")[0]["error_message"]
    assert not is_open(settings.model)


@pytest.mark.req("M0-W-1360")
def test_what_has_failed_so_far_can_be_asked_for_while_tensors_are_read(tmp_path: Path) -> None:
    path = str(write_tiny_gguf(tmp_path / "tiny.gguf"))
    reading = read(path, tokenizer_option=str(tmp_path / "nowhere.json"))

    with pytest.raises(ModelLoadFailed):
        reading.tokenizer()
    with pytest.raises(ModelLoadFailed, match=r"nowhere\.json"):
        reading.check()

    assert is_open(path)
    reading.close()
    assert not is_open(path)


def test_a_reading_without_fault_has_nothing_to_tell(tmp_path: Path) -> None:
    path = str(write_tiny_gguf(tmp_path / "tiny.gguf"))
    reading = read(path)

    reading.check()

    assert reading.tokenizer().vocab_size > 0
    reading.check()
    reading.close()
    reading.close()
