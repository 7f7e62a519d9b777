"""From a checkpoint of `transformers` to the tensors of a GGUF file, as real converters make them.

Source: llama.cpp, convert_hf_to_gguf.py and gguf-py/gguf/tensor_mapping.py.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ports.tensor_types import TensorType
from tools.oracle.toys import LLAMA3_SCALING, Toy

Floats = NDArray[np.float32]
NamedTensor = tuple[str, Floats, TensorType]

_NAMES = {
    # Llama, Qwen, Phi, GPT-OSS
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.qkv_proj": "attn_qkv",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "self_attn.sinks": "attn_sinks",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.gate_up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "mlp.router": "ffn_gate_inp",
    # GPT-2
    "transformer.wte": "token_embd",
    "transformer.wpe": "position_embd",
    "transformer.ln_f": "output_norm",
    "ln_1": "attn_norm",
    "attn.c_attn": "attn_qkv",
    "attn.c_proj": "attn_output",
    "ln_2": "ffn_norm",
    "mlp.c_fc": "ffn_up",
    "mlp.c_proj": "ffn_down",
}
_LAYER = re.compile(r"(?:model\.layers|transformer\.h)\.(\d+)\.(.*)")


def convert(toy: Toy, checkpoint: Mapping[str, Any]) -> Iterator[NamedTensor]:
    """Rename, permute, split and transpose; matrices in F16, experts in MXFP4, the rest in F32."""
    is_tied = toy.config.get("tie_word_embeddings", toy.architecture == "gpt2")
    for name, parameter in checkpoint.items():
        values = np.ascontiguousarray(parameter.numpy())
        if name == "lm_head.weight" and is_tied:
            continue
        layer = _LAYER.fullmatch(name)
        prefix, rest = (f"blk.{layer[1]}.", layer[2]) if layer else ("", name)
        if rest.startswith("mlp.experts."):
            yield from _expert_tensors(prefix, rest.removeprefix("mlp.experts."), values)
            continue
        yield _typed(_renamed(toy, prefix, rest), _rearranged(toy, rest, values))
    if toy.architecture == "llama":
        yield _typed("rope_freqs.weight", _llama3_factors(16))


def _renamed(toy: Toy, prefix: str, rest: str) -> str:
    stem, _, kind = rest.rpartition(".")
    if kind == "sinks":
        return f"{prefix}attn_sinks.weight"
    if toy.architecture == "gpt-oss" and stem == "post_attention_layernorm":
        return f"{prefix}post_attention_norm.{kind}"
    return f"{prefix}{_NAMES[stem]}.{kind}"


def _rearranged(toy: Toy, rest: str, values: Floats) -> Floats:
    if toy.architecture == "llama" and "q_proj" in rest:
        return _permuted(values, toy.config["num_attention_heads"])
    if toy.architecture == "llama" and "k_proj" in rest:
        return _permuted(values, toy.config["num_key_value_heads"])
    if ".c_" in rest and values.ndim == 2:
        return np.ascontiguousarray(values.T)  # GPT-2 keeps [in, out]
    return values


def _permuted(values: Floats, num_heads: int) -> Floats:
    """Rows from half split to adjacent pairs, as the file format has them for `llama`."""
    halves = values.reshape(num_heads, 2, values.shape[0] // num_heads // 2, values.shape[1])
    return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(values.shape)


def _expert_tensors(prefix: str, name: str, values: Floats) -> Iterator[NamedTensor]:
    """GPT-OSS: [expert, in, out] to [expert, out, in]; gate and up, interleaved, apart."""
    kind = "bias" if name.endswith("_bias") else "weight"
    if kind == "weight":
        values = values.swapaxes(1, 2)
    if name.startswith("down_proj"):
        yield _typed(f"{prefix}ffn_down_exps.{kind}", np.ascontiguousarray(values))
        return
    yield _typed(f"{prefix}ffn_gate_exps.{kind}", np.ascontiguousarray(values[:, 0::2]))
    yield _typed(f"{prefix}ffn_up_exps.{kind}", np.ascontiguousarray(values[:, 1::2]))


def _typed(name: str, values: Floats) -> NamedTensor:
    if values.ndim == 3:
        return name, values, TensorType.MXFP4
    is_plain = values.ndim == 1 or name.endswith(".bias") or "position" in name or "gate_inp" in name
    return name, values, TensorType.F32 if is_plain else TensorType.F16


def _llama3_factors(head_dim: int) -> Floats:
    """What each rope frequency is divided by. Source: Llama 3.1's published code, `apply_scaling`."""
    scaling = LLAMA3_SCALING
    low, high, factor = scaling["low_freq_factor"], scaling["high_freq_factor"], scaling["factor"]
    original = scaling["original_max_position_embeddings"]
    factors = []
    for i in range(0, head_dim, 2):
        turns = original / (2 * math.pi * scaling["rope_theta"] ** (i / head_dim))
        smooth = min(max((turns - low) / (high - low), 0.0), 1.0)
        factors.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(factors, dtype=np.float32)
