"""Every tensor type, value for value: against the `gguf` package and the specification's own words."""

import itertools

import numpy as np
import pytest
from gguf import GGMLQuantizationType
from gguf.quants import dequantize
from numpy.typing import NDArray

from backends.fake.dense import Dense
from backends.fake.dequantize import stream_float32
from domain.architectures import describe
from ports.model_file import TensorInfo
from ports.tensor_types import TensorType as T
from tests.backends.fake.reference import reference_logits
from tests.golden.naive_blocks import naive_values
from tests.golden.oracle import WHOLE, computed, loaded, nmse
from tests.models.memory_file import MemoryModelFile
from tests.models.random_blocks import random_tensor
from tests.models.tiny import TinyShape, tiny_model

pytestmark = pytest.mark.req("M0-W-1822", "M0-W-1435", "M0-W-1201")

Bytes = NDArray[np.uint8]

ONE_PERCENT = 0.01  # M0-W-1822; of a norm, so its square is the bound of a normalised mean squared error
TOKEN_IDS = [1, 17, 80, 3, 3, 42, 95]

# where a block keeps its f16 numbers; what has none is a plain number or, in MXFP4, has a byte of exponent
F16_AT = {
    T.Q4_0: (0,),
    T.Q4_1: (0, 2),
    T.Q5_0: (0,),
    T.Q5_1: (0, 2),
    T.Q8_0: (0,),
    T.Q4_K: (0, 2),
    T.Q5_K: (0, 2),
    T.Q6_K: (208,),
}
SMALLEST, LARGEST_SUBNORMAL, SMALLEST_NORMAL, LARGEST = 2.0**-24, 1023 * 2.0**-24, 2.0**-14, 65504.0
EXTREMES = [
    sign * value for value in (0.0, SMALLEST, LARGEST_SUBNORMAL, SMALLEST_NORMAL, LARGEST) for sign in (1, -1)
]
PLAIN_EXTREMES = {
    T.F32: np.array([0.0, -0.0, 1e-45, -1e-38, 3.4028235e38, -1.0], "<f4"),
    T.F16: np.array([0.0, -0.0, SMALLEST, -LARGEST_SUBNORMAL, LARGEST, -LARGEST], "<f2"),
    T.BF16: np.array([0x0000, 0x8000, 0x0001, 0x807F, 0x7F7F, 0xFF7F], "<u2"),
}
NUM_EXPONENTS = 253  # of MXFP4: with a larger one, the largest code is beyond float32


def stand_in_values(blocks: Bytes, tensor_type: T) -> NDArray[np.float32]:
    """As the stand-in reads them from a file, in pieces of a few blocks."""
    num_values = blocks.size // tensor_type.block.size_bytes * tensor_type.block.num_elements
    tensor = TensorInfo("t", (num_values,), tensor_type, 0, blocks.size)
    values = np.full(num_values, np.nan, np.float32)
    for _ in stream_float32(MemoryModelFile(data=blocks.tobytes()), tensor, values, chunk_bytes=500):
        pass
    return values


def assert_exact(blocks: Bytes, tensor_type: T) -> None:
    actual = stand_in_values(blocks, tensor_type)
    stored = blocks.reshape(-1, tensor_type.block.size_bytes)
    package = dequantize(stored, GGMLQuantizationType(tensor_type)).reshape(-1)
    words = np.array([naive_values(block.tobytes(), tensor_type) for block in stored], np.float32).reshape(-1)

    assert np.isfinite(actual).all()
    np.testing.assert_array_equal(actual, package)
    np.testing.assert_array_equal(actual, words)


def random_blocks(tensor_type: T, num_blocks: int, seed: int = 1) -> Bytes:
    """Any bits at all, but for scales and plain numbers: those are finite."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (num_blocks, tensor_type.block.size_bytes), dtype=np.uint8)
    if tensor_type in PLAIN_EXTREMES:
        return np.frombuffer(random_tensor((num_blocks,), tensor_type, rng), np.uint8).reshape(num_blocks, -1)
    for at in F16_AT.get(tensor_type, ()):
        magnitudes = 10.0 ** rng.integers(-6, 4, num_blocks)
        set_f16(blocks, at, rng.standard_normal(num_blocks) * magnitudes)
    if tensor_type is T.MXFP4:
        blocks[:, 0] = rng.integers(0, NUM_EXPONENTS, num_blocks)
    return blocks


def set_f16(blocks: Bytes, at: int, values: NDArray[np.float64]) -> None:
    blocks[:, at : at + 2] = values.astype("<f2").reshape(-1, 1).view(np.uint8)


@pytest.mark.parametrize("tensor_type", T, ids=lambda it: it.name)
def test_random_blocks_are_exact(tensor_type: T) -> None:
    assert_exact(random_blocks(tensor_type, 48), tensor_type)


@pytest.mark.parametrize("pattern", [0x00, 0xFF, 0x55, 0xAA], ids=hex)
@pytest.mark.parametrize("tensor_type", F16_AT, ids=lambda it: it.name)
def test_blocks_of_one_bit_pattern_are_exact_at_every_extreme_of_their_scale(
    tensor_type: T, pattern: int
) -> None:
    pairs = np.array(list(itertools.product(EXTREMES, EXTREMES)))
    blocks = np.full((len(pairs), tensor_type.block.size_bytes), pattern, np.uint8)
    for number, at in enumerate(F16_AT[tensor_type]):
        set_f16(blocks, at, pairs[:, number])

    assert_exact(blocks, tensor_type)


@pytest.mark.parametrize("pattern", [0x00, 0xFF, 0x55, 0xAA], ids=hex)
def test_mxfp4_is_exact_at_every_exponent(pattern: int) -> None:
    blocks = np.full((NUM_EXPONENTS, T.MXFP4.block.size_bytes), pattern, np.uint8)
    blocks[:, 0] = np.arange(NUM_EXPONENTS)

    assert_exact(blocks, T.MXFP4)


@pytest.mark.parametrize("tensor_type", PLAIN_EXTREMES, ids=lambda it: it.name)
def test_plain_numbers_are_exact_at_their_extremes(tensor_type: T) -> None:
    stored = PLAIN_EXTREMES[tensor_type]

    assert_exact(stored.view(np.uint8).reshape(len(stored), -1), tensor_type)


@pytest.mark.req("M0-W-1420")
@pytest.mark.parametrize("tensor_type", T, ids=lambda it: it.name)
def test_an_embedding_of_any_type_is_looked_up_exactly(tensor_type: T) -> None:
    file = tiny_model(TinyShape(hidden_size=256, embedding_type=tensor_type))
    info = file.tensors["token_embd.weight"]
    row_bytes = tensor_type.row_bytes(256)
    row = file.data[info.offset_bytes + 7 * row_bytes : info.offset_bytes + 8 * row_bytes]
    size_bytes = tensor_type.block.size_bytes
    blocks = [row[start : start + size_bytes] for start in range(0, row_bytes, size_bytes)]

    expected = [value for block in blocks for value in naive_values(block, tensor_type)]

    assert expected == loaded(describe(file), file).embedding[7].tolist()


@pytest.mark.parametrize("tensor_type", T, ids=lambda it: it.name)
def test_a_product_with_any_type_is_that_of_its_exact_numbers(tensor_type: T) -> None:
    rng = np.random.default_rng(2)
    blocks = np.frombuffer(random_tensor((24, 512), tensor_type, rng), np.uint8)
    stored = blocks.reshape(-1, tensor_type.block.size_bytes)
    exact = np.array([naive_values(block.tobytes(), tensor_type) for block in stored]).reshape(24, 512)
    x = rng.standard_normal((3, 512)).astype(np.float32)

    actual = Dense(stand_in_values(blocks, tensor_type).reshape(24, 512))(x)

    assert nmse(actual, (x.astype(np.float64) @ exact.T).astype(np.float32)) < ONE_PERCENT**2


@pytest.mark.parametrize("tensor_type", T, ids=lambda it: it.name)
def test_attention_over_any_type_is_within_one_percent_of_a_float64_reference(tensor_type: T) -> None:
    shape = TinyShape(
        hidden_size=256, head_dim=64, num_layers=1, intermediate_size=256, matrix_type=tensor_type
    )
    file = tiny_model(shape)

    actual = computed(loaded(describe(file), file), TOKEN_IDS, WHOLE)

    assert nmse(actual, reference_logits(file, TOKEN_IDS).astype(np.float32)) < ONE_PERCENT**2
