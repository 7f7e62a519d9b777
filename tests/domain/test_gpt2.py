"""What is particular to `gpt2`: LayerNorm, learned positions, biases throughout, GELU."""

import dataclasses

import pytest

from domain.architectures import describe
from domain.errors import ModelLoadFailed
from ports.model_description import Gelu, LayerNorm
from tests.models.tiny import TinyShape, tiny_model

pytestmark = pytest.mark.req("M0-W-1212", "M0-W-1213", "M0-W-1215", "M0-W-1432", "M0-W-1433", "M0-W-1434")

SHAPE = TinyShape("gpt2", num_kv_heads=4, is_tied=True)


def test_positions_are_learned_and_nothing_turns() -> None:
    model = describe(tiny_model(SHAPE))

    assert model.position_embedding is not None
    assert ("position_embd.weight", (128, 64)) == (
        model.position_embedding.name,
        model.position_embedding.shape,
    )
    assert {None} == {layer.attention.rope for layer in model.layers}


def test_fewer_positions_than_the_context_are_refused() -> None:
    file = tiny_model(SHAPE)
    positions = file.tensors["position_embd.weight"]
    file.tensors["position_embd.weight"] = dataclasses.replace(positions, shape=(127, 64))

    with pytest.raises(ModelLoadFailed, match="position_embd"):
        describe(file)


@pytest.mark.parametrize(("written", "expected"), [(1e-3, 1e-3), (None, 1e-5)])
def test_norms_have_a_bias_and_an_eps_with_a_default(written: float | None, expected: float) -> None:
    file = tiny_model(SHAPE)
    del file.metadata["gpt2.attention.layer_norm_epsilon"]
    if written is not None:
        file.metadata["gpt2.attention.layer_norm_epsilon"] = written
    model = describe(file)
    layer = model.layers[1]
    norms = (layer.attention_norm, layer.feed_forward_norm, model.output_norm)

    assert [
        ("blk.1.attn_norm.bias", expected),
        ("blk.1.ffn_norm.bias", expected),
        ("output_norm.bias", expected),
    ] == [(norm.bias.name, norm.eps) for norm in norms if isinstance(norm, LayerNorm)]


def test_every_projection_has_its_part_of_a_bias() -> None:
    layer = describe(tiny_model(SHAPE)).layers[0]
    attention, feed_forward = layer.attention, layer.feed_forward

    assert isinstance(feed_forward, Gelu)
    linears = [
        attention.query,
        attention.key,
        attention.value,
        attention.output,
        feed_forward.up,
        feed_forward.down,
    ]

    assert [(0, 64), (64, 128), (128, 192), (0, 64), (0, 128), (0, 64)] == [
        (linear.rows.start, linear.rows.stop) for linear in linears
    ]
    assert all(linear.bias is not None for linear in linears)


def test_the_head_is_the_embedding_unless_the_file_has_one() -> None:
    tied, separate = (
        describe(tiny_model(dataclasses.replace(SHAPE, is_tied=tied))) for tied in (True, False)
    )

    assert tied.embedding == tied.output.weight
    assert "output.weight" == separate.output.weight.name


def test_the_architecture_has_a_second_name() -> None:
    assert "gpt" == describe(tiny_model(dataclasses.replace(SHAPE, architecture="gpt"))).architecture
