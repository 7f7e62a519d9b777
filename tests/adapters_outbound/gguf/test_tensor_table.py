"""Names, shapes, types and places of tensors."""

from collections.abc import Callable

import gguf
import pytest

from adapters_outbound.gguf.ggml_types import type_name
from adapters_outbound.gguf.model_file import GgufModelFile
from ports.tensor_types import TensorType
from tests.adapters_outbound.gguf.gguf_bytes import (
    TOO_LARGE,
    GgufBytes,
    Refusal,
    every_feature,
    tensor,
    with_tensor,
)

pytestmark = pytest.mark.req("M0-W-1210", "M0-W-1211")

Open = Callable[[bytes], GgufModelFile]


def test_shapes_are_row_major_and_places_absolute(open_bytes: Open) -> None:
    data = every_feature().build()
    start = len(data) - 352

    tensors = open_bytes(data).tensors
    read = [(t.name, t.shape, t.type, t.offset_bytes, t.size_bytes) for t in tensors.values()]

    assert [
        ("f32", (2, 3), TensorType.F32, start, 24),
        ("q4_0", (2, 2, 32), TensorType.Q4_0, start + 32, 72),
        ("q6_k", (1, 1, 1, 256), TensorType.Q6_K, start + 128, 210),
    ] == read
    assert [t.name for t in tensors.values()] == list(tensors)


@pytest.mark.req("M0-W-1201")
@pytest.mark.parametrize("kind", TensorType)
def test_every_supported_type_has_the_size_the_gguf_package_gives_it(
    open_bytes: Open, kind: TensorType
) -> None:
    block_elements, block_bytes = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(kind)]

    file = open_bytes(with_tensor(tensor(dims=(512, 3), kind=kind), size=512 * 3 * 4))

    assert 512 * 3 // block_elements * block_bytes == file.tensors["w"].size_bytes


@pytest.mark.parametrize("length", [0, 65, 2**32, *TOO_LARGE])
def test_a_name_of_no_or_too_many_bytes_is_refused(refusal: Refusal, length: int) -> None:
    error = refusal(with_tensor(tensor("name", name_length=length)))

    assert f"length of name of tensor 0 at byte 69: expected 1 to 64, got {length}" in error.message


def test_a_name_of_64_bytes_is_read(open_bytes: Open) -> None:
    assert ["n" * 64] == list(open_bytes(with_tensor(tensor("n" * 64))).tensors)


@pytest.mark.parametrize("name", [b"\xff", "a\0", "a\nb", "\x1b[2J", "\u202e"])
def test_a_name_that_does_not_print_is_refused(refusal: Refusal, name: str | bytes) -> None:
    error = refusal(with_tensor(tensor(name)))

    assert "name of tensor 0 at byte" in error.message
    assert error.message.isprintable()


def test_a_name_that_is_there_twice_is_refused(refusal: Refusal) -> None:
    error = refusal(with_tensor(tensor("w"), tensor("w", offset=32), size=64))

    assert "name of tensor 1 at byte 102: expected a name not used before, got 'w'" in error.message


@pytest.mark.parametrize("num_dims", [0, 5, 8, 10**6, 2**32 - 1])
def test_a_tensor_has_one_to_four_dimensions(refusal: Refusal, num_dims: int) -> None:
    error = refusal(with_tensor(tensor(num_dims=num_dims)))

    assert f"n_dims of 'w' at byte 78: expected 1 to 4, got {num_dims}" in error.message


@pytest.mark.parametrize("dims", [(0,), (8, 0), (0, 2**63), (2**62, 0, 8)])
def test_a_dimension_of_nothing_is_refused(refusal: Refusal, dims: tuple[int, ...]) -> None:
    error = refusal(with_tensor(tensor(dims=dims)))

    assert f"dims of 'w' at byte 82: expected each at least 1, got {list(dims)}" in error.message


@pytest.mark.parametrize(
    "dims",
    [
        (2**63,),
        (2**64 - 1,),
        (2**32, 2**32),  # wraps to 0
        (2**64 - 1, 2),  # wraps to -2
        (2**62, 2),
        (2**16 + 1, 2**16, 2**16, 2**16),  # wraps to 2^48
    ],
)
def test_a_product_beyond_63_bits_is_refused(refusal: Refusal, dims: tuple[int, ...]) -> None:
    error = refusal(with_tensor(tensor(dims=dims)))

    assert "expected at most 9223372036854775807 elements" in error.message


@pytest.mark.parametrize("dims", [(9,), (2**31,), (2**32,), (2**62,), (2**61, 2), (8, 1, 1, 2)])
def test_a_tensor_larger_than_the_file_is_refused(refusal: Refusal, dims: tuple[int, ...]) -> None:
    error = refusal(with_tensor(tensor(dims=dims)))

    assert "offset of 'w'" in error.message
    assert "expected an end within the 32 bytes of data" in error.message


@pytest.mark.parametrize("kind", [kind for kind in TensorType if kind.block.num_elements > 1])
def test_a_row_that_is_no_multiple_of_the_block_is_refused(refusal: Refusal, kind: TensorType) -> None:
    row = kind.block.num_elements + 16

    error = refusal(with_tensor(tensor(dims=(row, 256), kind=kind), size=2**17))

    expected = f"a multiple of {kind.name}'s block of {kind.block.num_elements}, got {row}"
    assert f"row length of 'w' at byte 82: expected {expected}" in error.message


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (4, "Q4_2 (4)"),
        (5, "Q4_3 (5)"),
        (23, "IQ4_XS (23)"),
        (31, "Q4_0_4_4 (31)"),
        (38, "IQ4_NL_8_8 (38)"),
        (999, "999 (unknown)"),
        (2**31, "2147483648 (unknown)"),
    ],
)
def test_an_unsupported_type_is_refused_by_name_with_the_supported_ones(
    refusal: Refusal, kind: int, name: str
) -> None:
    error = refusal(with_tensor(tensor(kind=kind)))

    assert "type of 'w' at byte 90: expected one of F32, F16, Q4_0, Q4_1" in error.message
    assert error.message.endswith(f"MXFP4, got {name}")


def test_type_names_are_those_of_the_gguf_package() -> None:
    expected = [f"{kind.name} ({kind.value})" for kind in gguf.GGMLQuantizationType]

    assert expected == [type_name(kind.value) for kind in gguf.GGMLQuantizationType]


@pytest.mark.parametrize("offset", [1, 8, 31, 33, 2**64 - 8])
def test_an_offset_that_is_not_aligned_is_refused(refusal: Refusal, offset: int) -> None:
    error = refusal(with_tensor(tensor(offset=offset), size=128))

    assert f"offset of 'w' at byte 94: expected a multiple of 32, got {offset}" in error.message


@pytest.mark.parametrize("offset", [32, 2**32, 2**63, 2**64 - 32])
def test_a_tensor_that_ends_after_the_file_is_refused(refusal: Refusal, offset: int) -> None:
    error = refusal(with_tensor(tensor(offset=offset), size=32))

    assert f"expected an end within the 32 bytes of data, got {offset} + 32 bytes" in error.message


def test_one_byte_too_few_is_refused(refusal: Refusal) -> None:
    error = refusal(with_tensor(tensor("a"), tensor("b", offset=32), size=63))

    assert "offset of 'b'" in error.message
    assert "expected an end within the 63 bytes of data" in error.message


@pytest.mark.parametrize("shortened", [1, 18, 72, 72 + 56])
def test_a_file_cut_by_a_byte_a_block_or_a_tensor_is_refused(refusal: Refusal, shortened: int) -> None:
    data = every_feature().build()[: -(352 - 128 - 210)]

    error = refusal(data[:-shortened])

    assert "offset of 'q6_k'" in error.message


def test_a_header_that_ends_the_file_leaves_no_data(refusal: Refusal) -> None:
    error = refusal(GgufBytes().header)

    assert "expected an end within the 0 bytes of data" in error.message


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 32), (32, 0)])
def test_tensors_that_overlap_are_refused(refusal: Refusal, first: int, second: int) -> None:
    tensors = [tensor("a", (16,), offset=first), tensor("b", (16,), offset=second)]

    error = refusal(with_tensor(*tensors, size=128))

    assert "expected at least 64, where" in error.message


def test_a_gap_between_tensors_any_order_and_bytes_at_the_end_are_accepted(open_bytes: Open) -> None:
    file = open_bytes(with_tensor(tensor("late", offset=96), tensor("early"), size=512))

    assert ["late", "early"] == list(file.tensors)
    assert 96 == file.tensors["late"].offset_bytes - file.tensors["early"].offset_bytes
