"""What is particular to `gpt-oss`: sinks, every other layer's window, YaRN, experts."""

import dataclasses

import numpy as np
import pytest

from domain.architectures import describe
from domain.architectures.rope_frequencies import rope_frequencies
from domain.errors import ModelLoadFailed
from domain.memory_plan import align, plan_memory
from ports.model_description import Experts, Rope, RopePairing, Yarn
from ports.model_file import MetadataValue
from ports.tensor_types import TensorType
from tests.models.memory_file import MemoryModelFile
from tests.models.tiny import TinyShape, tiny_model

pytestmark = pytest.mark.req("M0-W-1211", "M0-W-1212", "M0-W-1213", "M0-W-1215")

SHAPE = TinyShape("gpt-oss", num_layers=3)
PUBLISHED = Yarn(
    factor=32.0, original_context_length=4096, beta_fast=32.0, beta_slow=1.0, attention_factor=1.3466
)


def gpt_oss(key: str, value: MetadataValue) -> MemoryModelFile:
    """A good file with one `gpt-oss.*` key changed."""
    file = tiny_model(SHAPE)
    file.metadata[f"gpt-oss.{key}"] = value
    return file


def test_even_layers_have_a_window_and_all_have_sinks() -> None:
    layers = describe(tiny_model(SHAPE)).layers

    assert [5, None, 5] == [layer.attention.window for layer in layers]
    assert ["blk.0.attn_sinks.weight", "blk.1.attn_sinks.weight", "blk.2.attn_sinks.weight"] == [
        layer.attention.sinks.name for layer in layers if layer.attention.sinks is not None
    ]


@pytest.mark.req("M0-W-1350")
def test_the_experts_of_a_token_are_counted_and_other_families_have_none() -> None:
    assert 2 == describe(gpt_oss("expert_used_count", 2)).num_active_experts
    assert None is describe(tiny_model(TinyShape("llama"))).num_active_experts


def test_a_window_as_wide_as_the_context_is_none() -> None:
    layers = describe(gpt_oss("attention.sliding_window", 128)).layers

    assert {None} == {layer.attention.window for layer in layers}


def test_yarn_is_read_with_its_factor_on_cosine_and_sine() -> None:
    rope = describe(gpt_oss("rope.scaling.factor", 32.0)).layers[0].attention.rope

    assert rope is not None
    assert isinstance(rope.scaling, Yarn)
    assert (32.0, 16, 32.0, 1.0) == dataclasses.astuple(rope.scaling)[:4]
    assert 1.3466 == pytest.approx(rope.scaling.attention_factor, abs=1e-4)


@pytest.mark.parametrize("theta", [150_000.0, 10_000.0])
def test_yarn_keeps_the_fast_pairs_and_stretches_the_slow_ones(theta: float) -> None:
    plain = rope_frequencies(Rope(RopePairing.HALF_SPLIT, 64, theta))
    scaled = rope_frequencies(Rope(RopePairing.HALF_SPLIT, 64, theta, scaling=PUBLISHED))
    turns = plain * 4096 / (2 * np.pi)

    np.testing.assert_allclose(scaled[turns > 32], plain[turns > 32])
    np.testing.assert_allclose(scaled[turns < 1], plain[turns < 1] / 32)
    assert np.all(np.diff(scaled) < 0)


def test_yarns_bounds_lie_between_the_pairs_of_the_published_model() -> None:
    """The bounds are pairs 8.0926 and 17.3980. Source: the formula, worked out by hand for the 20B model."""
    plain = rope_frequencies(Rope(RopePairing.HALF_SPLIT, 64, 150_000.0))
    scaled = rope_frequencies(Rope(RopePairing.HALF_SPLIT, 64, 150_000.0, scaling=PUBLISHED))
    kept = (scaled / plain - 1 / 32) / (1 - 1 / 32)

    np.testing.assert_allclose(kept[[8, 9, 17, 18]], [1, 0.90248, 0.04277, 0], atol=1e-4)


def test_experts_are_described_with_their_router() -> None:
    feed_forward = describe(tiny_model(SHAPE)).layers[1].feed_forward

    assert isinstance(feed_forward, Experts)
    assert (4, 2, 128) == (feed_forward.num_experts, feed_forward.num_active, feed_forward.intermediate_size)
    assert (TensorType.MXFP4, (4, 128, 64)) == (feed_forward.gate.weight.type, feed_forward.gate.weight.shape)
    assert ((4, 64, 128), (4, 64)) == (feed_forward.down.weight.shape, feed_forward.down.bias.shape)
    assert "blk.1.ffn_gate_inp.weight" == feed_forward.router.weight.name
    assert (1.702, 7.0) == dataclasses.astuple(feed_forward.activation)


def test_experts_have_a_width_of_their_own() -> None:
    file = gpt_oss("feed_forward_length", 999)

    assert {128} == {layer.feed_forward.intermediate_size for layer in describe(file).layers}


def test_scratch_space_holds_every_active_expert_of_every_row() -> None:
    def scratch_bytes(num_active: int) -> int:
        model = describe(gpt_oss("expert_used_count", num_active))
        return plan_memory(model, free_bytes=2**30, gpu_device=0, path="/m.gguf").scratch_bytes

    rows, float_bytes = 128 + 1, 4  # a chunk and a token
    floats = 2 * 64 + 128  # given and made; inside

    assert align(rows * float_bytes * floats) == scratch_bytes(3) - scratch_bytes(2)


def test_the_file_is_named_after_its_experts_format() -> None:
    assert "MXFP4" == describe(tiny_model(SHAPE)).quant_kind


def test_the_architecture_has_a_second_name() -> None:
    assert "gptoss" == describe(tiny_model(dataclasses.replace(SHAPE, architecture="gptoss"))).architecture


REQUIRED = [
    "attention.head_count_kv",
    "attention.key_length",
    "attention.value_length",
    "attention.sliding_window",
    "expert_count",
    "expert_used_count",
    "expert_feed_forward_length",
    "rope.freq_base",
    "rope.scaling.type",
    "rope.scaling.factor",
    "rope.scaling.original_context_length",
]


@pytest.mark.parametrize("key", REQUIRED)
def test_nothing_is_defaulted(key: str) -> None:
    file = tiny_model(SHAPE)
    del file.metadata[f"gpt-oss.{key}"]

    with pytest.raises(ModelLoadFailed, match=rf"gpt-oss\.{key}: .* no such key"):
        describe(file)


BAD_SETTINGS: dict[str, list[MetadataValue]] = {
    "attention.sliding_window": [0, -1, "128"],
    "expert_count": [0, 3, 2**31],
    "expert_used_count": [0, 5],
    "expert_feed_forward_length": [0, 2**31],
    "rope.freq_base": [1.0, 0.5, 1e-320],
    "rope.scaling.type": ["linear", "none", 1],
    "rope.scaling.factor": [0.0, -1.0, 1e-320],
    "rope.scaling.original_context_length": [0],
    "rope.scaling.attn_factor": [2.0, -1.0],
    "rope.scaling.yarn_ext_factor": [0.0],
    "rope.scaling.yarn_beta_fast": [0.0],
}


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, values in BAD_SETTINGS.items() for value in values]
)
def test_a_setting_that_no_such_model_can_have_is_refused(key: str, value: MetadataValue) -> None:
    with pytest.raises(ModelLoadFailed):
        describe(gpt_oss(key, value))


def test_quantized_biases_of_experts_are_refused() -> None:
    file = tiny_model(SHAPE)
    name = "blk.0.ffn_up_exps.bias"
    file.tensors[name] = dataclasses.replace(file.tensors[name], type=TensorType.Q8_0)

    with pytest.raises(ModelLoadFailed, match=f"type of tensor {name}"):
        describe(file)
