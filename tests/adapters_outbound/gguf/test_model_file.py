"""Reading the bytes of tensors."""

import mmap
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters_outbound.gguf.model_file import GgufModelFile
from adapters_outbound.gguf.opener import GgufModelFileOpener
from domain.errors import ModelLoadFailed
from tests.adapters_outbound.gguf.gguf_bytes import ARRAY, U8, GgufBytes, array, every_feature, pair
from tests.adapters_outbound.gguf.large_file import MIB, large_file, mapped_file_bytes

Open = Callable[[bytes], GgufModelFile]


@pytest.mark.req("M0-W-1221")
def test_a_view_shows_the_stored_bytes(open_bytes: Open) -> None:
    file = open_bytes(every_feature().build())

    whole = bytes(file.read(file.tensors["q4_0"], offset_bytes=0, size_bytes=72))
    part = bytes(file.read(file.tensors["q4_0"], offset_bytes=70, size_bytes=2))

    assert bytes(range(32, 104)) == whole
    assert bytes([102, 103]) == part


@pytest.mark.req("M0-W-1221")
def test_a_view_is_no_copy_and_cannot_be_written(open_bytes: Open) -> None:
    file = open_bytes(every_feature().build())

    view = file.read(file.tensors["f32"], offset_bytes=0, size_bytes=24)

    assert isinstance(view.obj, mmap.mmap)
    assert view.readonly


def test_an_empty_view_is_one(open_bytes: Open) -> None:
    file = open_bytes(GgufBytes().build())

    assert b"" == bytes(file.read(file.tensors["w"], offset_bytes=32, size_bytes=0))


@pytest.mark.parametrize(("offset", "size"), [(0, 33), (32, 1), (-1, 4), (4, -1), (2**63, 1)])
def test_a_range_outside_the_tensor_is_the_callers_mistake(open_bytes: Open, offset: int, size: int) -> None:
    file = open_bytes(GgufBytes().build())

    with pytest.raises(ValueError, match="not inside w"):
        file.read(file.tensors["w"], offset_bytes=offset, size_bytes=size)


def test_a_closed_file_is_not_read_in_the_background_and_keeps_no_descriptor(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    file = large_file(tmp_path / "m.gguf", MIB)
    while_open = len(os.listdir("/proc/self/fd"))

    file.close()
    file.close()

    assert before < while_open
    assert before == len(os.listdir("/proc/self/fd"))
    with pytest.raises(ValueError, match="is closed"):
        file.background_reads()


@pytest.mark.parametrize("content", [b"GGML" + bytes(60), b""], ids=["no GGUF", "empty"])
def test_a_file_that_is_refused_keeps_no_descriptor(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    before = len(os.listdir("/proc/self/fd"))

    with pytest.raises(ModelLoadFailed):
        GgufModelFileOpener().open(str(path))

    assert before == len(os.listdir("/proc/self/fd"))


@pytest.mark.req("M0-W-1210", "M0-W-1221")
def test_a_file_that_was_cut_after_opening_is_an_error_and_not_a_bus_error(tmp_path: Path) -> None:
    file = large_file(tmp_path / "m.gguf", 4 * MIB)
    weights = file.tensors["w"]
    file.read(weights, offset_bytes=0, size_bytes=MIB)

    os.truncate(file.path, 2 * MIB)
    with pytest.raises(ModelLoadFailed) as caught:
        file.read(weights, offset_bytes=3 * MIB, size_bytes=MIB)

    opened_size = weights.offset_bytes + 4 * MIB
    assert (
        f"file size: expected {opened_size} bytes, as when it was opened, got {2 * MIB}"
        in caught.value.message
    )


def test_a_file_that_grows_or_is_replaced_after_opening_is_read_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(GgufBytes(data=b"a" * 32).build())
    file = GgufModelFileOpener().open(str(path))

    with path.open("ab") as growing:
        growing.write(b"b" * 100)
    (tmp_path / "other").write_bytes(b"other")
    (tmp_path / "other").replace(path)

    assert b"a" * 32 == bytes(file.read(file.tensors["w"], offset_bytes=0, size_bytes=32))


@pytest.mark.req("M0-W-1221", "M0-W-1222")
def test_streaming_a_model_does_not_gather_it_in_memory(tmp_path: Path) -> None:
    file = large_file(tmp_path / "m.gguf", 200 * MIB)
    with open(file.path, "r+b") as written:
        written.seek(file.tensors["w"].offset_bytes)
        for _ in range(200):
            written.write(b"\1" * MIB)
    before = mapped_file_bytes()
    most = 0

    # An odd start: the pages that the kernel maps around a touched one then belong to the chunk before.
    for offset in range(40_000, 199 * MIB, MIB):
        view = file.read(file.tensors["w"], offset_bytes=offset, size_bytes=MIB)
        assert all(view[:: mmap.PAGESIZE])  # touches every page
        most = max(most, mapped_file_bytes() - before)

    assert MIB // 2 < most < 6 * MIB


def test_a_terabyte_of_nothing_costs_nothing(tmp_path: Path) -> None:
    file = large_file(tmp_path / "m.gguf", 2**40)

    assert b"\0" == bytes(file.read(file.tensors["w"], offset_bytes=2**40 - 1, size_bytes=1))


def test_a_header_as_large_as_a_model_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    endless = pair("key", ARRAY, array(U8, [], count=2**28))
    path.write_bytes(GgufBytes(pairs=[endless]).build())
    os.truncate(path, 2**30)

    with pytest.raises(ModelLoadFailed, match="item count of 'key' at byte 43: expected at most 268435405"):
        GgufModelFileOpener().open(str(path))


def test_closing_twice_is_closing_once(open_bytes: Open) -> None:
    file = open_bytes(GgufBytes().build())

    file.close()
    file.close()

    with pytest.raises(ValueError, match="is closed"):
        file.read(file.tensors["w"], offset_bytes=0, size_bytes=1)


def test_closing_while_a_view_is_held_does_not_take_its_memory_away(open_bytes: Open) -> None:
    file = open_bytes(GgufBytes(data=b"a" * 32).build())
    view = file.read(file.tensors["w"], offset_bytes=0, size_bytes=32)

    file.close()

    assert b"a" * 32 == bytes(view)


def test_closing_unmaps_the_file(open_bytes: Open) -> None:
    file = open_bytes(GgufBytes().build())
    mapped = file.path in Path("/proc/self/maps").read_text()

    file.close()

    assert (True, False) == (mapped, file.path in Path("/proc/self/maps").read_text())
