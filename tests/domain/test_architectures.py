"""From metadata and tensor table to a description, and everything that must be refused on the way."""

import dataclasses
import math

import numpy as np
import pytest

from domain.architectures import describe, supported_architectures
from domain.errors import BackendCode, ModelLoadFailed
from ports.model_description import LinearScaling, RopePairing
from ports.model_file import MetadataValue
from ports.tensor_types import TensorType
from tests.models.memory_file import MemoryModelFile
from tests.models.tiny import TinyShape, tiny_model

pytestmark = pytest.mark.req("M0-W-1210", "M0-W-1211", "M0-W-1212", "M0-W-1213", "M0-W-1214")


def llama(**changes: MetadataValue) -> MemoryModelFile:
    """A good llama file with some `llama.*` keys changed; `__` in a name stands for a dot."""
    file = tiny_model(TinyShape())
    file.metadata |= {f"llama.{key.replace('__', '.')}": value for key, value in changes.items()}
    return file


def refused(file: MemoryModelFile) -> dict[str, object]:
    """Describe a bad file; return the facts of its refusal."""
    with pytest.raises(ModelLoadFailed) as failure:
        describe(file)
    facts = dict(failure.value.facts)

    assert BackendCode.MODEL_LOAD_FAILED == failure.value.backend_code
    assert {"model_path", "check", "expected", "actual"} == set(facts)
    assert all(str(fact) in failure.value.message for fact in facts.values())
    return facts


# What is described


def test_a_llama_file_is_described_in_full() -> None:
    model = describe(tiny_model(TinyShape()))
    attention = model.layers[1].attention

    assert ("llama", "tiny llama", "F32") == (model.architecture, model.name, model.quant_kind)
    assert (96, 64, 128, 2) == (model.vocab_size, model.hidden_size, model.context_length, len(model.layers))
    assert (4, 2, 16) == (attention.num_heads, attention.num_kv_heads, attention.head_dim)
    assert attention.rope is not None
    assert (RopePairing.ADJACENT, 16, 10_000.0) == dataclasses.astuple(attention.rope)[:3]
    assert "blk.1.attn_k.weight" == attention.key.weight.name
    assert (32, 64) == attention.key.weight.shape
    assert attention.query.bias is None
    assert (128, "blk.1.ffn_up.weight") == (
        model.layers[1].feed_forward.intermediate_size,
        model.layers[1].feed_forward.up.weight.name,
    )
    assert "output.weight" == model.output.weight.name


def test_a_qwen2_file_turns_halves_and_has_biases_on_queries_keys_and_values() -> None:
    attention = describe(tiny_model(TinyShape("qwen2"))).layers[0].attention
    biases = [linear.bias.name for linear in (attention.query, attention.key, attention.value) if linear.bias]

    assert attention.rope is not None
    assert RopePairing.HALF_SPLIT == attention.rope.pairing
    assert ["blk.0.attn_q.bias", "blk.0.attn_k.bias", "blk.0.attn_v.bias"] == biases
    assert attention.output.bias is None


def test_a_qwen3_file_norms_queries_and_keys_head_by_head() -> None:
    attention = describe(tiny_model(TinyShape("qwen3"))).layers[1].attention

    assert attention.query_norm is not None
    assert attention.key_norm is not None
    assert ("blk.1.attn_q_norm.weight", (16,)) == (
        attention.query_norm.weight.name,
        attention.query_norm.weight.shape,
    )
    assert "blk.1.attn_k_norm.weight" == attention.key_norm.weight.name
    assert attention.rope is not None
    assert (RopePairing.HALF_SPLIT, None) == (attention.rope.pairing, attention.query.bias)


def test_a_file_without_a_head_uses_its_embedding_once() -> None:
    file = tiny_model(TinyShape(is_tied=True))
    model = describe(file)

    assert model.embedding == model.output.weight
    assert set(file.tensors.values()) == set(model.tensors)
    assert len(file.tensors) == len(model.tensors)


def test_rope_factors_are_found() -> None:
    rope = describe(tiny_model(TinyShape(has_frequency_factors=True))).layers[0].attention.rope

    assert rope is not None
    assert rope.frequency_factors is not None
    assert (8,) == rope.frequency_factors.shape


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"rope__scaling__type": "linear", "rope__scaling__factor": 4.0}, LinearScaling(4.0)),
        ({"rope__scaling__factor": 4.0}, LinearScaling(4.0)),
        ({"rope__scale_linear": 2.0}, LinearScaling(2.0)),
        ({"rope__scaling__type": "none", "rope__scaling__factor": 4.0}, None),
        ({"rope__scaling__type": "linear", "rope__scaling__factor": 1.0}, None),
        ({"rope__scaling__type": "linear"}, None),
        ({"rope__scaling__factor": 0.0}, None),
    ],
)
def test_a_factor_scales_the_rope_unless_there_is_no_scaling(
    settings: dict[str, MetadataValue], expected: LinearScaling | None
) -> None:
    rope = describe(llama(**settings)).layers[0].attention.rope

    assert rope is not None
    assert expected == rope.scaling


def test_what_may_be_missing_has_its_default() -> None:
    file = tiny_model(TinyShape(num_kv_heads=4))
    for key in ("head_count_kv", "key_length", "value_length"):
        del file.metadata[f"llama.attention.{key}"]
    for key in ("llama.rope.freq_base", "llama.rope.dimension_count", "general.name", "general.file_type"):
        del file.metadata[key]
    del file.metadata["tokenizer.ggml.tokens"]
    model = describe(file)
    attention = model.layers[0].attention

    assert attention.rope is not None
    assert (4, 16, 16, 10_000.0) == (
        attention.num_kv_heads,
        attention.head_dim,
        attention.rope.rotary_dim,
        attention.rope.theta,
    )
    assert ("tiny-random", "F32") == (model.name, model.quant_kind)


def test_a_scaling_of_none_and_a_window_as_wide_as_the_context_are_no_obstacle() -> None:
    describe(llama(rope__scaling__type="none", attention__sliding_window=128, expert_count=0))


# What is refused


def test_an_unknown_architecture_is_answered_with_the_known_ones() -> None:
    file = tiny_model(TinyShape())
    file.metadata["general.architecture"] = "mamba\n\x1b[31m"
    facts = refused(file)

    assert "general.architecture" == facts["check"]
    assert f"one of {', '.join(supported_architectures())}" == facts["expected"]
    assert r"'mamba\n\x1b[31m'" == facts["actual"]


REQUIRED = [
    "general.architecture",
    "llama.attention.layer_norm_rms_epsilon",
    "llama.attention.head_count",
] + [f"llama.{key}" for key in ("context_length", "embedding_length", "block_count", "feed_forward_length")]


@pytest.mark.parametrize("key", REQUIRED)
def test_a_missing_key_is_named(key: str) -> None:
    file = llama()
    del file.metadata[key]
    facts = refused(file)

    assert (key, "no such key") == (facts["check"], facts["actual"])


@pytest.mark.parametrize("key", REQUIRED)
@pytest.mark.parametrize("value", [True, [1, 2], ["a"], np.array([1, 2]), -1, 1e30, math.nan, 2**63], ids=str)
def test_a_key_of_another_type_or_an_absurd_value_is_named(key: str, value: MetadataValue) -> None:
    file = llama()
    file.metadata[key] = value

    assert key == refused(file)["check"]


BAD_SETTINGS: dict[str, list[MetadataValue]] = {
    "block_count": [0, 2**31],
    "context_length": [0, 2**32 - 1, "128", 128.0],
    "embedding_length": [0, 2**32 - 1],
    "feed_forward_length": [0, 2**32 - 1],
    "attention.head_count": [0, 2**31],
    "attention.head_count_kv": [0, 3, 8],
    "attention.key_length": [0, 2**31],
    "attention.value_length": [8],
    "attention.layer_norm_rms_epsilon": [0.0, -1e-5, math.nan, math.inf, 1e30, 1],
    "rope.freq_base": [0.0, -1.0, 1e-320, 1.0, math.nan, math.inf, 10_000],
    "rope.dimension_count": [0, 7, 32],
    "rope.scaling.type": ["yarn", "longrope", 1],
    "rope.scaling.factor": [-0.5, -4.0, 1e-320, 1e-7, math.nan, 1e9, "4"],
    "rope.scale_linear": [-0.5, 1e-320, math.inf],
    "expert_count": [8],
    "attention.sliding_window": [64],
    "vocab_size": [95, 0],
}


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, values in BAD_SETTINGS.items() for value in values]
)
def test_a_setting_that_no_such_model_can_have_is_named(key: str, value: MetadataValue) -> None:
    assert f"llama.{key}" == refused(llama(**{key: value}))["check"]


def test_a_name_too_long_for_one_is_refused_and_not_shown() -> None:
    file = llama()
    file.metadata["general.name"] = "x" * 256
    assert "x" * 256 == describe(file).name

    file.metadata["general.name"] = "x" * 257
    expected = {"check": "general.name", "expected": "at most 256 characters", "actual": "257 characters"}
    assert expected.items() <= refused(file).items()


def test_heads_that_do_not_divide_the_width_need_a_size_of_their_own() -> None:
    file = llama(attention__head_count=5)
    del file.metadata["llama.attention.key_length"]

    assert "a divisor of 64" == refused(file)["expected"]


def test_unsupported_scaling_is_named_as_such() -> None:
    facts = refused(llama(rope__scaling__type="yarn"))

    assert "none or linear" == facts["expected"]
    assert "'yarn'" == facts["actual"]


@pytest.mark.parametrize("name", ["bos", "eos", "eot", "eom"])
@pytest.mark.parametrize("token_id", [96, -1, 2**32 - 1])
def test_a_special_token_outside_the_vocabulary_is_refused(name: str, token_id: int) -> None:
    file = llama()
    file.metadata[f"tokenizer.ggml.{name}_token_id"] = token_id

    assert f"tokenizer.ggml.{name}_token_id" == refused(file)["check"]


def test_a_vocabulary_of_another_length_than_the_embedding_is_refused() -> None:
    file = llama()
    file.metadata["tokenizer.ggml.tokens"] = ["a"] * 95

    assert "95" == refused(file)["actual"]


def test_every_tensor_is_needed_but_a_separate_head() -> None:
    for architecture in supported_architectures():
        for name in set(tiny_model(TinyShape(architecture)).tensors) - {"output.weight"}:
            file = tiny_model(TinyShape(architecture))
            del file.tensors[name]

            assert (f"tensor {name}", "no such tensor") == tuple(
                refused(file)[k] for k in ("check", "actual")
            )


def test_every_tensor_must_have_its_shape() -> None:
    for architecture in supported_architectures():
        for name, tensor in tiny_model(TinyShape(architecture)).tensors.items():
            file = tiny_model(TinyShape(architecture))
            file.tensors[name] = dataclasses.replace(
                tensor, shape=(*tensor.shape[:-1], tensor.shape[-1] + 32)
            )

            assert f"shape of tensor {name}" == refused(file)["check"]


def test_a_transposed_matrix_is_called_that() -> None:
    file = llama()
    down = file.tensors["blk.0.ffn_down.weight"]
    file.tensors["blk.0.ffn_down.weight"] = dataclasses.replace(down, shape=down.shape[::-1])

    assert "[128, 64] (transposed)" == refused(file)["actual"]


@pytest.mark.parametrize("shape", [(96,), (96, 64, 1)])
def test_an_embedding_that_is_no_matrix_is_refused(shape: tuple[int, ...]) -> None:
    file = llama()
    embedding = file.tensors["token_embd.weight"]
    file.tensors["token_embd.weight"] = dataclasses.replace(embedding, shape=shape)

    assert "shape of tensor token_embd.weight" == refused(file)["check"]


@pytest.mark.parametrize("name", ["output_norm.weight", "blk.1.attn_norm.weight", "blk.0.attn_q.bias"])
def test_a_quantized_vector_is_refused(name: str) -> None:
    file = tiny_model(TinyShape("qwen2"))
    file.tensors[name] = dataclasses.replace(file.tensors[name], type=TensorType.Q8_0)

    assert f"type of tensor {name}" == refused(file)["check"]


@pytest.mark.parametrize(
    "name", ["blk.0.attn_q.bias", "blk.2.attn_norm.weight", "blk.0.ffn_gate_exps.weight"]
)
def test_a_tensor_that_nothing_would_compute_with_is_refused(name: str) -> None:
    file = llama()
    file.tensors[name] = dataclasses.replace(file.tensors["output_norm.weight"], name=name)

    assert repr(name) == refused(file)["actual"]
