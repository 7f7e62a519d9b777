"""The toy models: what `transformers` is told, and what a real converter writes into the file for it.

Source of the keys: llama.cpp, convert_hf_to_gguf.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tools.gguf_export.metadata import WritableValue

VOCAB_SIZE = 96
_CONTEXT = 256
_ORIGINAL_CONTEXT = 64  # before the frequencies were scaled
_WINDOW = 24
_HIDDEN, _INTERMEDIATE, _HEADS, _KV_HEADS = 64, 96, 4, 2
_EXPERT_INTERMEDIATE = 32  # one block of MXFP4
_WIDE_HEAD = 32  # times the heads is more than the model's width

_CONFIG: Mapping[str, Any] = {
    "vocab_size": VOCAB_SIZE,
    "max_position_embeddings": _CONTEXT,
    "hidden_size": _HIDDEN,
    "intermediate_size": _INTERMEDIATE,
    "num_hidden_layers": 2,
    "num_attention_heads": _HEADS,
    "num_key_value_heads": _KV_HEADS,
    "rms_norm_eps": 1e-5,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_METADATA: Mapping[str, WritableValue] = {
    "vocab_size": VOCAB_SIZE,
    "context_length": _CONTEXT,
    "embedding_length": _HIDDEN,
    "feed_forward_length": _INTERMEDIATE,
    "block_count": 2,
    "attention.head_count": _HEADS,
    "attention.head_count_kv": _KV_HEADS,
    "attention.layer_norm_rms_epsilon": 1e-5,
}
LLAMA3_SCALING: Mapping[str, Any] = {
    "rope_type": "llama3",
    "rope_theta": 10_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": _ORIGINAL_CONTEXT,
}


@dataclass(frozen=True, slots=True)
class Toy:
    """One model. `metadata` keys lack the architecture's prefix; `gains` are as in `fill_randomly`."""

    architecture: str
    config_class: str
    model_class: str
    config: Mapping[str, Any]
    metadata: Mapping[str, WritableValue]
    gains: Mapping[str, float] = field(default_factory=dict)
    seed: int | None = None  # of weights and tokens; None: the toy's place in the list


TOYS = (
    Toy(
        "llama",
        "LlamaConfig",
        "LlamaForCausalLM",
        {**_CONFIG, "rope_parameters": dict(LLAMA3_SCALING)},
        {**_METADATA, "rope.freq_base": 10_000.0, "rope.dimension_count": 16},
    ),
    Toy(
        "qwen2",
        "Qwen2Config",
        "Qwen2ForCausalLM",
        {
            **_CONFIG,
            "rope_parameters": {"rope_type": "linear", "rope_theta": 1e6, "factor": 4.0},
            "tie_word_embeddings": True,
        },
        {
            **_METADATA,
            "rope.freq_base": 1e6,
            "rope.scaling.type": "linear",
            "rope.scaling.factor": 4.0,
        },
    ),
    Toy(
        "qwen3",
        "Qwen3Config",
        "Qwen3ForCausalLM",
        {
            **_CONFIG,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
            "head_dim": _WIDE_HEAD,
        },
        {
            **_METADATA,
            "rope.freq_base": 1e6,
            "attention.key_length": _WIDE_HEAD,
            "attention.value_length": _WIDE_HEAD,
        },
    ),
    Toy(
        "phi3",
        "Phi3Config",
        "Phi3ForCausalLM",
        {
            **_CONFIG,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0},
            "sliding_window": _WINDOW,
        },
        {
            **_METADATA,
            "rope.freq_base": 10_000.0,
            "rope.dimension_count": 16,
            "rope.scaling.original_context_length": _CONTEXT,
            "attention.sliding_window": _WINDOW,
        },
    ),
    Toy(
        "gpt2",
        "GPT2Config",
        "GPT2LMHeadModel",
        {
            "vocab_size": VOCAB_SIZE,
            "n_positions": _CONTEXT,
            "n_embd": _HIDDEN,
            "n_inner": _INTERMEDIATE,
            "n_layer": 2,
            "n_head": _HEADS,
            "layer_norm_epsilon": 1e-5,
            "bos_token_id": 1,
            "eos_token_id": 2,
        },
        {
            "vocab_size": VOCAB_SIZE,
            "context_length": _CONTEXT,
            "embedding_length": _HIDDEN,
            "feed_forward_length": _INTERMEDIATE,
            "block_count": 2,
            "attention.head_count": _HEADS,
            "attention.layer_norm_epsilon": 1e-5,
        },
    ),
    Toy(
        "gpt-oss",
        "GptOssConfig",
        "GptOssForCausalLM",
        {
            **_CONFIG,
            "num_hidden_layers": 3,
            "intermediate_size": _EXPERT_INTERMEDIATE,
            "head_dim": _WIDE_HEAD,
            "sliding_window": _WINDOW,
            "num_local_experts": 8,
            "num_experts_per_tok": 4,
            "rope_parameters": {
                "rope_type": "yarn",
                "rope_theta": 150_000.0,
                "factor": 32.0,
                "beta_fast": 32.0,
                "beta_slow": 1.0,
                "truncate": False,
                "original_max_position_embeddings": _ORIGINAL_CONTEXT,
            },
        },
        {
            **_METADATA,
            "block_count": 3,
            "feed_forward_length": _EXPERT_INTERMEDIATE,
            "attention.key_length": _WIDE_HEAD,
            "attention.value_length": _WIDE_HEAD,
            "attention.sliding_window": _WINDOW,
            "expert_count": 8,
            "expert_used_count": 4,
            "expert_feed_forward_length": _EXPERT_INTERMEDIATE,
            "rope.freq_base": 150_000.0,
            "rope.scaling.type": "yarn",
            "rope.scaling.factor": 32.0,
            "rope.scaling.original_context_length": _ORIGINAL_CONTEXT,
        },
        # Milder, and with few near ties between experts: which of two equals a router takes is decided by
        # rounding, and then drowns every other difference.
        gains={"q_proj": 1.0, "k_proj": 1.0, "experts.down_proj": 0.5},
        seed=14,
    ),
)
