"""From stored blocks to the arrays that are multiplied with."""

import math
import tracemalloc

import numpy as np
import pytest
from gguf import GGMLQuantizationType
from gguf.quants import dequantize
from numpy.typing import NDArray

from backends.fake.feed_forward import ExpertsWeights, SwiGluWeights
from backends.fake.weight_loader import load_weights
from backends.fake.weights import Weights
from domain.architectures import describe, supported_architectures
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


def dequantized(file: MemoryModelFile, name: str) -> NDArray[np.float32]:
    tensor = file.tensors[name]
    data = np.frombuffer(file.data, np.uint8, tensor.size_bytes, tensor.offset_bytes)
    rows = dequantize(data.reshape(*tensor.shape[:-1], -1), GGMLQuantizationType(tensor.type))
    return np.asarray(rows, dtype=np.float32)


@pytest.mark.parametrize("chunk_bytes", [100, 4096])
@pytest.mark.parametrize("tensor_type", [TensorType.F16, TensorType.Q5_0, TensorType.Q4_K, TensorType.MXFP4])
def test_the_parts_of_a_fused_matrix_are_its_rows(tensor_type: TensorType, chunk_bytes: int) -> None:
    file = tiny_model(TinyShape("phi3", hidden_size=256, intermediate_size=512, matrix_type=tensor_type))
    feed_forward = load_file(file, chunk_bytes).layers[1].feed_forward

    assert isinstance(feed_forward, SwiGluWeights)
    np.testing.assert_array_equal(feed_forward.gate_up.weight, dequantized(file, "blk.1.ffn_up.weight"))


def test_every_expert_has_its_own_matrices_and_biases() -> None:
    file = tiny_model(TinyShape("gpt-oss"))
    experts = load_file(file, 100).layers[1].feed_forward

    assert isinstance(experts, ExpertsWeights)
    for kind in ("weight", "bias"):
        gate, up, down = (
            dequantized(file, f"blk.1.ffn_{name}_exps.{kind}") for name in ("gate", "up", "down")
        )
        for i in range(4):
            np.testing.assert_array_equal(getattr(experts.gate_up[i], kind), np.concatenate([gate[i], up[i]]))
            np.testing.assert_array_equal(getattr(experts.down[i], kind), down[i])


@pytest.mark.parametrize("architecture", supported_architectures())
def test_progress_ends_with_every_stored_byte(architecture: str) -> None:
    file = tiny_model(TinyShape(architecture))
    reports: list[tuple[int, int]] = []
    load_weights(describe(file), file, chunk_bytes=999, on_progress=lambda *report: reports.append(report))
    total_bytes = sum(tensor.size_bytes for tensor in file.tensors.values())

    assert ((0, total_bytes), (total_bytes, total_bytes)) == (reports[0], reports[-1])
    assert sorted(reports) == reports


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
