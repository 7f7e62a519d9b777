"""Written files, read back by the gguf package."""

from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf import quants
from numpy.typing import NDArray

from adapters_outbound.gguf.opener import GgufModelFileOpener
from ports.tensor_types import TensorType
from tools.gguf_export.metadata import WritableValue
from tools.gguf_export.writer import TensorToWrite, quantize_tensor, write_gguf


def tensor(name: str = "w", shape: tuple[int, ...] = (2, 32)) -> TensorToWrite:
    return quantize_tensor(name, np.ones(shape, np.float32), "F32")


def read_value(path: Path, value: WritableValue) -> gguf.ReaderField:
    write_gguf(path, metadata={"general.architecture": "llama", "key": value}, tensors=[tensor()])
    return gguf.GGUFReader(path).fields["key"]


@pytest.mark.parametrize(
    ("value", "type_name"),
    [
        (True, "BOOL"),
        (np.bool_(False), "BOOL"),
        (7, "UINT32"),
        (2**32 - 1, "UINT32"),
        (-7, "INT32"),
        (2**32, "UINT64"),
        (-(2**40), "INT64"),
        (np.uint8(9), "UINT8"),
        (np.int8(-9), "INT8"),
        (np.uint16(9), "UINT16"),
        (np.int16(-9), "INT16"),
        (np.uint64(9), "UINT64"),
        (0.5, "FLOAT32"),
        (np.float64(0.1), "FLOAT64"),
        ("ünïcode\n", "STRING"),
        ("", "STRING"),
    ],
)
def test_a_value_comes_back_with_its_type(tmp_path: Path, value: WritableValue, type_name: str) -> None:
    field = read_value(tmp_path / "m.gguf", value)

    assert (type_name, value) == (field.types[0].name, field.contents())


@pytest.mark.parametrize(
    ("value", "type_name"),
    [
        (["a", "", "Ġb", "🙂"], "STRING"),
        (np.array([1, 3, -1], np.int32), "INT32"),
        (np.array([0.5, -1e9], np.float32), "FLOAT32"),
        (np.array([5, 6], np.uint32), "UINT32"),
        (np.array([True, False]), "BOOL"),
        (np.arange(10, dtype=np.uint16)[::3], "UINT16"),
    ],
)
def test_an_array_comes_back_with_its_element_type(
    tmp_path: Path, value: list[str] | NDArray[np.generic], type_name: str
) -> None:
    field = read_value(tmp_path / "m.gguf", value)

    assert ("ARRAY", type_name) == (field.types[0].name, field.types[1].name)
    assert list(value) == field.contents()


@pytest.mark.parametrize("kind", TensorType)
def test_a_tensor_comes_back_with_its_shape_and_bytes(tmp_path: Path, kind: TensorType) -> None:
    values = np.random.default_rng(3).standard_normal((3, 5, 256), dtype=np.float32)
    written = quantize_tensor("blk.0.ffn_gate_exps.weight", values, kind)
    path = tmp_path / "m.gguf"

    write_gguf(path, metadata={"general.architecture": "llama"}, tensors=[tensor("first", (33,)), written])
    read = gguf.GGUFReader(path).tensors[1]

    assert ("blk.0.ffn_gate_exps.weight", kind.value) == (read.name, read.tensor_type.value)
    assert [256, 5, 3] == read.shape.tolist()
    assert written.data.tobytes() == read.data.tobytes()
    assert np.allclose(values, quants.dequantize(read.data, read.tensor_type), atol=1.1)


def test_tensors_start_at_multiples_of_32_and_the_last_is_padded_too(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"

    write_gguf(
        path, metadata={"a": "b"}, tensors=[tensor("one", (1,)), tensor("two", (9,)), tensor("three", (1,))]
    )
    offsets = [read.data_offset % 32 for read in gguf.GGUFReader(path).tensors]

    assert [0, 0, 0] == offsets
    assert 0 == path.stat().st_size % 32


def test_the_worker_reads_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    written = quantize_tensor("w", np.ones((3, 256), np.float32), "Q4_K")

    write_gguf(path, metadata={"general.architecture": "llama", "n": 5}, tensors=[tensor("v", (1,)), written])
    file = GgufModelFileOpener().open(str(path))
    read = file.tensors["w"]

    assert {"general.architecture": "llama", "n": 5} == dict(file.metadata)
    assert ((3, 256), TensorType.Q4_K) == (read.shape, read.type)
    assert written.data.tobytes() == bytes(file.read(read, offset_bytes=0, size_bytes=read.size_bytes))


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_gguf(tmp_path / name, metadata={"a": 1, "b": ["x"]}, tensors=[tensor()])

    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_vocabulary_alone_can_be_written(tmp_path: Path) -> None:
    tokens = [f"token {i}" for i in range(1000)]

    write_gguf(tmp_path / "m.gguf", metadata={"tokenizer.ggml.tokens": tokens}, tensors=[])
    data = (tmp_path / "m.gguf").read_bytes()

    assert b"GGUF\3\0\0\0" + bytes(8) + b"\1" == data[:17]
    assert all(token.encode() in data for token in tokens)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (TensorToWrite("", (4,), TensorType.F32, np.zeros(16, np.uint8)), "1 to 63 bytes"),
        (TensorToWrite("n" * 64, (4,), TensorType.F32, np.zeros(16, np.uint8)), "1 to 63 bytes"),
        (TensorToWrite("w", (), TensorType.F32, np.zeros(4, np.uint8)), "1 to 4 dimensions"),
        (TensorToWrite("w", (1, 1, 1, 1, 4), TensorType.F32, np.zeros(16, np.uint8)), "1 to 4 dimensions"),
        (TensorToWrite("w", (0, 4), TensorType.F32, np.zeros(0, np.uint8)), "each at least 1"),
        (TensorToWrite("w", (40,), TensorType.Q8_0, np.zeros(34, np.uint8)), "no multiple of Q8_0"),
        (TensorToWrite("w", (2, 32), TensorType.Q8_0, np.zeros(67, np.uint8)), "is 68 bytes, got 67"),
    ],
)
def test_a_tensor_that_no_reader_would_take_is_refused(
    tmp_path: Path, broken: TensorToWrite, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        write_gguf(tmp_path / "m.gguf", metadata={}, tensors=[broken])


def test_two_tensors_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"used twice: \['w'\]"):
        write_gguf(tmp_path / "m.gguf", metadata={}, tensors=[tensor(), tensor()])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, 2], "a list holds strings only"),
        (np.zeros((2, 2), np.int32), "one dimension"),
        (np.zeros(2, np.float16), "no type for float16"),
        (2**64, "fits no 64-bit integer"),
    ],
)
def test_a_value_without_a_gguf_type_is_refused(tmp_path: Path, value: WritableValue, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_gguf(tmp_path / "m.gguf", metadata={"key": value}, tensors=[tensor()])


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(b"old")

    def full_disk(_: int) -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="no space left"):
        write_gguf(path, metadata={}, tensors=[tensor()])

    assert [path] == list(tmp_path.iterdir())
    assert b"old" == path.read_bytes()


def test_tensors_may_come_from_a_generator(tmp_path: Path) -> None:
    def tensors() -> Iterator[TensorToWrite]:
        yield tensor("a")
        yield tensor("b")

    write_gguf(tmp_path / "m.gguf", metadata={"a": "b"}, tensors=tensors())

    assert ["a", "b"] == [read.name for read in gguf.GGUFReader(tmp_path / "m.gguf").tensors]
