"""Magic, version and counts."""

import pytest

from tests.adapters_outbound.gguf.gguf_bytes import TOO_LARGE, GgufBytes, Refusal, pair, tensor

pytestmark = pytest.mark.req("M0-W-1200", "M0-W-1210")


@pytest.mark.parametrize("size", [0, 3, 23])
def test_a_file_shorter_than_a_header_is_refused(refusal: Refusal, size: int) -> None:
    error = refusal(GgufBytes().build()[:size])

    assert f"file size: expected at least 24 bytes, got {size}" in error.message


@pytest.mark.parametrize(
    ("magic", "hint"),
    [
        (b"FUGG", "byte-swapped"),
        (b"ggjt", "a format before GGUF"),
        (b"GGML", "a format before GGUF"),
        (b"PK\3\4", "got b'PK\\x03\\x04'"),
        (bytes(4), "got b'\\x00\\x00\\x00\\x00'"),
    ],
)
def test_another_magic_is_refused_with_what_it_may_be(refusal: Refusal, magic: bytes, hint: str) -> None:
    error = refusal(GgufBytes(magic=magic).build())

    assert "magic at byte 0: expected b'GGUF'" in error.message
    assert hint in error.message


@pytest.mark.parametrize(
    ("version", "hint"),
    [
        (0, "got 0"),
        (1, "an old file"),
        (2, "an old file"),
        (4, "got 4"),
        (0x03000000, "a big-endian file: convert the model to little-endian"),
        (2**32 - 1, "got 4294967295"),
    ],
)
def test_only_version_3_is_read(refusal: Refusal, version: int, hint: str) -> None:
    error = refusal(GgufBytes(version=version).build())

    assert "version at byte 4: expected 3" in error.message
    assert hint in error.message


@pytest.mark.parametrize("count", [0, 10_000, 2**16 + 1, 2**32, *TOO_LARGE])
def test_a_tensor_count_out_of_bounds_is_refused_before_anything_is_read(
    refusal: Refusal, count: int
) -> None:
    error = refusal(GgufBytes(num_tensors=count).build())

    assert f"tensor_count at byte 8: expected 1 to 9999, got {count}" in error.message


@pytest.mark.parametrize("count", [2**16 + 1, 2**32, *TOO_LARGE])
def test_a_pair_count_out_of_bounds_is_refused_before_anything_is_read(refusal: Refusal, count: int) -> None:
    error = refusal(GgufBytes(num_pairs=count).build())

    assert f"metadata_kv_count at byte 16: expected 0 to 65536, got {count}" in error.message


def test_counts_that_cannot_fit_into_the_file_are_refused_at_once(refusal: Refusal) -> None:
    tensors = refusal(GgufBytes(num_tensors=9_999).build())
    pairs = refusal(GgufBytes(num_pairs=65_536).build())

    assert "tensor_count at byte 8: expected at most" in tensors.message
    assert "metadata_kv_count at byte 16: expected at most" in pairs.message


@pytest.mark.parametrize("change", [-1, 1])
def test_one_pair_more_or_less_than_counted_is_refused(refusal: Refusal, change: int) -> None:
    pairs = [pair(f"key.{i}", 4, bytes(4)) for i in range(3)]

    error = refusal(GgufBytes(pairs=pairs, num_pairs=3 + change).build())

    assert error.facts["offset_bytes"] is not None


def test_one_tensor_more_than_there_is_is_refused(refusal: Refusal) -> None:
    error = refusal(GgufBytes(tensors=[tensor()], num_tensors=2).build())

    assert "name of tensor 1" in error.message


def test_an_error_carries_its_facts(refusal: Refusal) -> None:
    error = refusal(GgufBytes(version=7).build())

    facts = dict(error.facts)
    path = str(facts.pop("model_path"))

    assert {"check": "version", "expected": "3", "actual": "7", "offset_bytes": 4} == facts
    assert f"{path}: version at byte 4: expected 3, got 7" == error.message
    assert ("MODEL_LOAD_FAILED", False) == (error.code, error.retriable)
