"""What is particular to `phi3`: fused matrices, a window with a default, a scaling that is refused."""

import dataclasses

import pytest

from domain.architectures import describe
from domain.errors import ModelLoadFailed
from ports.model_description import RopePairing, SwiGlu
from tests.models.memory_file import MemoryModelFile
from tests.models.tiny import TinyShape, tiny_model

pytestmark = pytest.mark.req("M0-W-1211", "M0-W-1213", "M0-W-1214")

WINDOW = "phi3.attention.sliding_window"
NARROW = TinyShape("phi3", hidden_size=8, num_heads=2, num_kv_heads=2, head_dim=4, intermediate_size=8)


def window_of(file: MemoryModelFile) -> int | None:
    windows = {layer.attention.window for layer in describe(file).layers}

    assert 1 == len(windows)
    return windows.pop()


def test_queries_keys_and_values_are_rows_of_one_matrix() -> None:
    attention = describe(tiny_model(TinyShape("phi3"))).layers[1].attention
    linears = (attention.query, attention.key, attention.value)

    assert {"blk.1.attn_qkv.weight"} == {linear.weight.name for linear in linears}
    assert [range(64), range(64, 96), range(96, 128)] == [linear.rows for linear in linears]
    assert attention.rope is not None
    assert RopePairing.HALF_SPLIT == attention.rope.pairing


def test_gate_and_up_are_rows_of_one_matrix() -> None:
    model = describe(tiny_model(TinyShape("phi3", intermediate_size=32)))
    feed_forward = model.layers[0].feed_forward

    assert isinstance(feed_forward, SwiGlu)
    assert (range(32), range(32, 64), range(64)) == (
        feed_forward.gate.rows,
        feed_forward.up.rows,
        feed_forward.down.rows,
    )
    assert "blk.0.ffn_up.weight" == feed_forward.gate.weight.name == feed_forward.up.weight.name
    assert len(set(model.tensors)) == len(model.tensors)


@pytest.mark.parametrize(
    ("written", "expected"), [(5, 5), (127, 127), (128, None), (262_144, None), (0, None), (None, None)]
)
def test_a_window_is_one_only_where_it_hides_something(written: int | None, expected: int | None) -> None:
    assert expected == window_of(tiny_model(TinyShape("phi3", window=written)))


@pytest.mark.parametrize(
    ("num_layers", "context_length", "expected"),
    [(32, 4096, 2047), (40, 4096, 2047), (32, 131_072, None), (24, 4096, None)],
)
def test_a_file_older_than_the_key_is_told_by_its_size(
    num_layers: int, context_length: int, expected: int | None
) -> None:
    shape = dataclasses.replace(NARROW, num_layers=num_layers, context_length=context_length)

    assert expected == window_of(tiny_model(shape))


@pytest.mark.parametrize("window", [-1, "2047", 2047.0, True])
def test_a_window_that_is_none_is_refused(window: int | float | str) -> None:
    file = tiny_model(TinyShape("phi3"))
    file.metadata[WINDOW] = window

    with pytest.raises(ModelLoadFailed, match="sliding_window"):
        describe(file)


@pytest.mark.parametrize("name", ["rope_factors_long.weight", "rope_factors_short.weight"])
def test_longrope_is_refused_by_name(name: str) -> None:
    file = tiny_model(TinyShape("phi3"))
    file.tensors[name] = dataclasses.replace(file.tensors["output_norm.weight"], name=name)

    with pytest.raises(ModelLoadFailed, match="longrope"):
        describe(file)
