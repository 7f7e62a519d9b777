"""What may be opened at all."""

import os
import socket
from pathlib import Path

import pytest

from adapters_outbound.gguf.opener import GgufModelFileOpener
from domain.errors import ModelLoadFailed
from ports.model_file import ModelFileOpener
from tests.adapters_outbound.gguf.gguf_bytes import STRING, GgufBytes, pair, string

pytestmark = pytest.mark.req("M0-W-1210")


def refusal_of(path: str | Path) -> str:
    with pytest.raises(ModelLoadFailed) as caught:
        GgufModelFileOpener().open(str(path))
    return caught.value.message


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_the_opener_is_one_of_the_port(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(GgufBytes().build())
    opener: ModelFileOpener = GgufModelFileOpener()

    file = opener.open(str(path))

    assert (str(path), "llama") == (file.path, file.metadata["general.architecture"])


def test_a_link_to_a_model_is_followed(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(GgufBytes().build())
    (tmp_path / "link").symlink_to(tmp_path / "m.gguf")

    assert ["w"] == list(GgufModelFileOpener().open(str(tmp_path / "link")).tensors)


@pytest.mark.parametrize(
    "path", ["", "/nowhere/m.gguf", "file:///m.gguf", "http://host/m.gguf", "/nowhere/*.gguf"]
)
def test_a_path_to_nothing_is_refused(path: str) -> None:
    assert "file: expected a readable file, got No such file or directory" in refusal_of(path)


@pytest.mark.parametrize("path", ["m\0.gguf", "m\ud800.gguf"])
def test_a_path_that_no_system_takes_is_refused_and_shown_escaped(path: str) -> None:
    message = refusal_of(path)

    assert "file: expected a readable file" in message
    assert message.isprintable()


def test_a_directory_is_refused(tmp_path: Path) -> None:
    assert "expected a regular file, got a directory" in refusal_of(tmp_path)


def test_a_fifo_is_refused_without_waiting_for_its_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")

    assert "expected a regular file, got a FIFO" in refusal_of(tmp_path / "fifo")


def test_a_device_is_refused() -> None:
    assert "expected a regular file, got a character device" in refusal_of("/dev/zero")


def test_a_socket_is_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))

        assert "file: expected a readable file" in refusal_of(tmp_path / "socket")


def test_a_circle_of_links_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")

    assert "Too many levels of symbolic links" in refusal_of(tmp_path / "a")


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(GgufBytes().build())
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read every file")

    assert "Permission denied" in refusal_of(path)


def test_a_refused_file_leaves_nothing_open(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(GgufBytes(version=4).build())
    before = open_descriptors()

    refusal_of(path)

    assert before == open_descriptors()
    assert str(path) not in Path("/proc/self/maps").read_text()


def test_a_vocabulary_without_tensors_opens_as_such_and_not_as_a_model(tmp_path: Path) -> None:
    path = tmp_path / "vocab.gguf"
    pairs = [pair("tokenizer.ggml.model", STRING, string("gpt2"))]
    path.write_bytes(GgufBytes(pairs=pairs, tensors=[]).header)

    vocabulary = GgufModelFileOpener().open_vocabulary(str(path))

    assert ({}, {"tokenizer.ggml.model": "gpt2"}) == (dict(vocabulary.tensors), dict(vocabulary.metadata))
    assert "tensor_count at byte 8: expected 1 to 9999, got 0" in refusal_of(path)
