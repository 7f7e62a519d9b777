"""Bytes that a decoded token must read, counted by hand on models where that is easy."""

from dataclasses import replace

from bench.gpu.traffic import bytes_per_token
from domain.architectures import describe
from ports.tensor_types import TensorType
from tests.models.tiny import TinyShape, tiny_model

SHAPE = TinyShape()
KV_BYTES = SHAPE.num_layers * 2 * 2 * SHAPE.num_kv_heads * SHAPE.head_dim


def traffic(shape: TinyShape, context: int = 0) -> int:
    return bytes_per_token(describe(tiny_model(shape)), context=context)


def total(shape: TinyShape) -> int:
    return sum(tensor.size_bytes for tensor in tiny_model(shape).tensors.values())


def test_an_embedding_that_is_looked_up_is_not_read() -> None:
    embedding_bytes = SHAPE.vocab_size * SHAPE.hidden_size * 4

    assert total(SHAPE) - embedding_bytes == traffic(SHAPE)


def test_an_embedding_that_is_the_head_is_read() -> None:
    tied = replace(SHAPE, is_tied=True)

    assert total(tied) == traffic(tied)


def test_keys_and_values_of_the_context_are_read() -> None:
    assert traffic(SHAPE) + 100 * KV_BYTES == traffic(SHAPE, context=100)


def test_a_window_bounds_what_is_read_of_the_context() -> None:
    narrow = replace(SHAPE, architecture="phi3", window=20)

    assert traffic(narrow, context=20) == traffic(narrow, context=100)
    assert traffic(narrow, context=19) < traffic(narrow, context=20)


def test_only_active_experts_are_read() -> None:
    shape = replace(SHAPE, architecture="gpt-oss")
    tensors = tiny_model(shape).tensors
    experts = sum(tensor.size_bytes for name, tensor in tensors.items() if "_exps." in name)
    embedding = tensors["token_embd.weight"].size_bytes

    assert TensorType.MXFP4 in {tensor.type for tensor in tensors.values()}
    assert total(shape) - embedding - experts // 2 == traffic(shape)  # 2 of 4
