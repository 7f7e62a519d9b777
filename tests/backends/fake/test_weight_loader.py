"""From stored blocks to the arrays that are multiplied with."""

import math
import tracemalloc

import numpy as np
import pytest

from backends.fake.weight_loader import load_weights
from backends.fake.weights import Weights
from domain.architectures import describe
from domain.errors import ModelLoadFailed
from ports.tensor_types import TensorType
from tests.models.memory_file import MemoryModelFile
from tests.models.random_blocks import stored
from tests.models.tiny import TinyShape, tiny_model


def load_file(file: MemoryModelFile, chunk_bytes: int = 4096) -> Weights:
    return load_weights(describe(file), file, chunk_bytes=chunk_bytes, on_progress=lambda _done, _total: None)


def test_a_tied_head_is_the_embedding_itself() -> None:
    weights = load_file(tiny_model(TinyShape(is_tied=True)))

    assert weights.output.weight is weights.embedding


@pytest.mark.req("M0-W-1222")
@pytest.mark.parametrize("chunk_bytes", [1, 35, 4096])
def test_the_size_of_the_pieces_changes_no_weight(chunk_bytes: int) -> None:
    shape = TinyShape("qwen2", matrix_type=TensorType.Q8_0)
    whole, in_pieces = load_file(tiny_model(shape), 2**20), load_file(tiny_model(shape), chunk_bytes)

    np.testing.assert_array_equal(
        in_pieces.layers[1].attention.query_key_value.weight, whole.layers[1].attention.query_key_value.weight
    )
    np.testing.assert_array_equal(in_pieces.output.weight, whole.output.weight)


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_rope_factors_that_are_no_positive_numbers_are_refused(bad: float) -> None:
    file = tiny_model(TinyShape(has_frequency_factors=True))
    factors = file.tensors["rope_freqs.weight"]
    values = np.full(factors.shape, 1.0)
    values[3] = bad
    start = factors.offset_bytes
    file.data = file.data[:start] + stored(values, TensorType.F32) + file.data[start + factors.size_bytes :]

    with pytest.raises(ModelLoadFailed, match=r"rope_freqs\.weight"):
        load_file(file)


@pytest.mark.parametrize("tensor_type", [TensorType.Q8_0, TensorType.Q4_K], ids=lambda t: t.name)
def test_loading_never_holds_more_than_the_weights_and_one_piece(tensor_type: TensorType) -> None:
    shape = TinyShape(
        vocab_size=2048,
        hidden_size=1024,
        num_heads=8,
        head_dim=128,
        intermediate_size=1024,
        is_tied=True,
        matrix_type=tensor_type,
        embedding_type=tensor_type,
    )
    file = tiny_model(shape)
    weights_bytes = sum(4 * math.prod(tensor.shape) for tensor in file.tensors.values())
    tracemalloc.start()
    load_file(file, 2**16)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert weights_bytes > 40 * 2**20
    assert peak_bytes < weights_bytes + 5 * 2**20
