"""What the GGUF file says about the model: architecture, vocabulary, chat template."""

import json

import numpy as np
from tokenizers import Tokenizer

from tools.gguf_export.metadata import WritableValue
from tools.haiku.quant_mix import FILE_TYPES
from tools.haiku.tokenizer import BOS_ID, EOS_ID

NAME = "Haiku 9M"
CONTEXT_LENGTH, ROPE_THETA, RMS_NORM_EPS = 512, 10000.0, 1e-5
NORMAL, CONTROL = 1, 3
CHAT_TEMPLATE = (
    "{%- for message in messages -%}{%- if message['role'] == 'user' -%}"
    "{{ message['content'] }}"
    "{%- endif -%}{%- endfor -%}"
)
"""A single user turn becomes exactly its text: the model reads raw prompts."""


def model_metadata(
    *,
    mix: str,
    hidden_size: int,
    intermediate_size: int,
    num_layers: int,
    num_heads: int,
    num_kv_heads: int,
    tokenizer: Tokenizer,
) -> dict[str, WritableValue]:
    """Key-value pairs in file order."""
    return {
        "general.architecture": "llama",
        "general.type": "model",
        "general.name": NAME,
        "general.size_label": "9M",
        "general.description": "Writes haiku on request; trained on a generated corpus for worker-orcd",
        "general.license": "apache-2.0",
        "general.languages": ["en"],
        "general.tags": ["haiku", "text-generation"],
        "general.file_type": FILE_TYPES[mix],
        "general.quantization_version": 2,
        "llama.context_length": CONTEXT_LENGTH,
        "llama.embedding_length": hidden_size,
        "llama.block_count": num_layers,
        "llama.feed_forward_length": intermediate_size,
        "llama.attention.head_count": num_heads,
        "llama.attention.head_count_kv": num_kv_heads,
        "llama.attention.layer_norm_rms_epsilon": RMS_NORM_EPS,
        "llama.rope.freq_base": ROPE_THETA,
        "llama.rope.dimension_count": hidden_size // num_heads,
        "llama.vocab_size": tokenizer.get_vocab_size(),
        **tokenizer_metadata(tokenizer),
    }


def tokenizer_metadata(tokenizer: Tokenizer) -> dict[str, WritableValue]:
    """The vocabulary in order of ids, and the merges in order of rank."""
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    types = [CONTROL if token_id in (BOS_ID, EOS_ID) else NORMAL for token_id in range(len(tokens))]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": np.array(types, dtype=np.int32),
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": BOS_ID,
        "tokenizer.ggml.eos_token_id": EOS_ID,
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.ggml.add_eos_token": False,
        "tokenizer.chat_template": CHAT_TEMPLATE,
    }
