"""What each file says of its model, under the keys that the published converters write."""

from tools.gguf_export.metadata import WritableValue
from tools.true_size.model_shape import ModelShape
from tools.true_size.special_tokens import GPT_OSS, LLAMA_3, PHI_3, QWEN_2, SpecialTokens
from tools.true_size.vocabulary import byte_level_vocabulary, sentencepiece_vocabulary

Metadata = dict[str, WritableValue]

_FILE_TYPES = {"Q4_0": 2, "Q4_K_M": 15, "MXFP4": 38}  # llama.h `enum llama_ftype`
_YARN_ORIGINAL_CONTEXT = 4096
_ACTIVE_EXPERTS = 4
# pre-tokenizer, special tokens, texts of BOS and EOS, whether a prompt begins with BOS
_BYTE_LEVEL: dict[str, tuple[str, SpecialTokens, str, str, bool]] = {
    "qwen2": ("qwen2", QWEN_2, "<|endoftext|>", "<|im_end|>", False),
    "llama": ("llama-bpe", LLAMA_3, "<|begin_of_text|>", "<|eot_id|>", True),
    "gpt-oss": ("gpt-4o", GPT_OSS, "<|startoftext|>", "<|return|>", False),
}


def metadata_of(shape: ModelShape) -> Metadata:
    """Key-value pairs in file order."""
    general: Metadata = {
        "general.architecture": shape.architecture,
        "general.type": "model",
        "general.name": f"{shape.name} (random weights)",
        "general.file_type": _FILE_TYPES[shape.mix],
        "general.quantization_version": 2,
    }
    model = {f"{shape.architecture}.{key}": value for key, value in _model(shape).items()}
    return general | model | _tokenizer(shape)


def _model(shape: ModelShape) -> Metadata:
    pairs: Metadata = {
        "vocab_size": shape.vocab_size,
        "context_length": shape.context_length,
        "embedding_length": shape.hidden_size,
        "block_count": shape.num_layers,
        "feed_forward_length": shape.intermediate_size,
        "attention.head_count": shape.num_heads,
        "attention.head_count_kv": shape.num_kv_heads,
        "attention.key_length": shape.head_dim,
        "attention.value_length": shape.head_dim,
        "attention.layer_norm_rms_epsilon": shape.rms_norm_eps,
        "rope.dimension_count": shape.head_dim,
        "rope.freq_base": shape.rope_theta,
    }
    if shape.window is not None:
        pairs["attention.sliding_window"] = shape.window
    return pairs | (_experts(shape) if shape.num_experts else {})


def _experts(shape: ModelShape) -> Metadata:
    """GPT-OSS: the experts, and YaRN."""
    return {
        "expert_count": shape.num_experts,
        "expert_used_count": _ACTIVE_EXPERTS,
        "expert_feed_forward_length": shape.intermediate_size,
        "rope.scaling.type": "yarn",
        "rope.scaling.factor": float(shape.rope_scaling_factor or 1.0),
        "rope.scaling.original_context_length": _YARN_ORIGINAL_CONTEXT,
    }


def _tokenizer(shape: ModelShape) -> Metadata:
    if shape.architecture == "phi3":
        tokens = sentencepiece_vocabulary(shape.vocab_size, PHI_3)
        model, pre, bos, eos, adds_bos = "llama", "default", "<s>", "<|endoftext|>", True
    else:
        pre, specials, bos, eos, adds_bos = _BYTE_LEVEL[shape.architecture]
        tokens = byte_level_vocabulary(shape.vocab_size, specials)
        model = "gpt2"
    texts = tokens["tokenizer.ggml.tokens"]
    assert isinstance(texts, list)
    return {
        "tokenizer.ggml.model": model,
        "tokenizer.ggml.pre": pre,
        **tokens,
        "tokenizer.ggml.bos_token_id": texts.index(bos),
        "tokenizer.ggml.eos_token_id": texts.index(eos),
        "tokenizer.ggml.add_bos_token": adds_bos,
    }
