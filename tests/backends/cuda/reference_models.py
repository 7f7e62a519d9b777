"""The models that kernels are compiled for where there is no GPU: headers alone, in memory."""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from adapters_outbound.gguf.opener import GgufModelFileOpener
from domain.architectures import describe
from ports.model_description import ModelDescription
from ports.model_file import TensorInfo
from ports.tensor_types import TensorType
from tests.models.memory_file import MemoryModelFile
from tools.gguf_export.layout import TensorEntry
from tools.true_size.metadata import metadata_of
from tools.true_size.model_shape import MODELS
from tools.true_size.tensors import tensors_of

_ROOT = Path(__file__).parents[3]


@cache
def reference_models() -> dict[str, ModelDescription]:
    """By name: what people load, and the model on board."""
    published = {name: _described(metadata_of(shape), tensors_of(shape)) for name, shape in MODELS.items()}
    more = {"gpt-2-small-f16": _gpt2_small(), "qwen3-0.6b-q8_0": _qwen3_0_6b()}
    return published | more | _models_in(_ROOT / "app" / "models")


@cache
def toy_models() -> dict[str, ModelDescription]:
    """By name: those of the golden tests."""
    return _models_in(_ROOT / "tests" / "golden")


def _models_in(directory: Path) -> dict[str, ModelDescription]:
    models = {}
    for path in sorted(directory.glob("*.gguf")):
        file = GgufModelFileOpener().open(str(path))
        models[path.stem] = describe(file)
        file.close()
    return models


def _described(metadata: Mapping[str, Any], entries: list[TensorEntry]) -> ModelDescription:
    file, offset_bytes = MemoryModelFile(metadata=dict(metadata)), 0
    for entry in entries:
        file.tensors[entry.name] = TensorInfo(
            entry.name, entry.shape, entry.type, offset_bytes, entry.size_bytes
        )
        offset_bytes += entry.size_bytes
    return describe(file)


def _metadata(architecture: str, *, vocab_size: int, **model: float) -> dict[str, Any]:
    return {
        "general.architecture": architecture,
        "tokenizer.ggml.tokens": [f"<{token_id}>" for token_id in range(vocab_size)],
        "tokenizer.ggml.eos_token_id": vocab_size - 1,
    } | {f"{architecture}.{key.replace('__', '.')}": value for key, value in model.items()}


def _gpt2_small() -> ModelDescription:
    metadata = _metadata(
        "gpt2",
        vocab_size=50_257,
        context_length=1024,
        embedding_length=768,
        block_count=12,
        feed_forward_length=3072,
        attention__head_count=12,
        attention__layer_norm_epsilon=1e-5,
    )
    return _described(metadata, list(_gpt2_entries(hidden_size=768, num_layers=12)))


def _gpt2_entries(*, hidden_size: int, num_layers: int) -> Iterator[TensorEntry]:
    yield TensorEntry("token_embd.weight", (50_257, hidden_size), TensorType.F16)
    yield TensorEntry("position_embd.weight", (1024, hidden_size), TensorType.F32)
    for layer in range(num_layers):
        for norm in ("attn_norm", "ffn_norm"):
            yield from _layer_norm(f"blk.{layer}.{norm}", hidden_size)
        for name, rows, columns in (
            ("attn_qkv", 3 * hidden_size, hidden_size),
            ("attn_output", hidden_size, hidden_size),
            ("ffn_up", 4 * hidden_size, hidden_size),
            ("ffn_down", hidden_size, 4 * hidden_size),
        ):
            yield TensorEntry(f"blk.{layer}.{name}.weight", (rows, columns), TensorType.F16)
            yield TensorEntry(f"blk.{layer}.{name}.bias", (rows,), TensorType.F32)
    yield from _layer_norm("output_norm", hidden_size)


def _layer_norm(name: str, size: int) -> Iterator[TensorEntry]:
    for part in ("weight", "bias"):
        yield TensorEntry(f"{name}.{part}", (size,), TensorType.F32)


def _qwen3_0_6b() -> ModelDescription:
    metadata = _metadata(
        "qwen3",
        vocab_size=151_936,
        context_length=40_960,
        embedding_length=1024,
        block_count=28,
        feed_forward_length=3072,
        attention__head_count=16,
        attention__head_count_kv=8,
        attention__key_length=128,
        attention__value_length=128,
        attention__layer_norm_rms_epsilon=1e-6,
        rope__freq_base=1e6,
    )
    return _described(metadata, list(_qwen3_entries(hidden_size=1024, num_layers=28)))


def _qwen3_entries(*, hidden_size: int, num_layers: int) -> Iterator[TensorEntry]:
    query_size, key_size, head_dim, intermediate_size = 2048, 1024, 128, 3072
    yield TensorEntry("token_embd.weight", (151_936, hidden_size), TensorType.Q8_0)
    yield TensorEntry("output_norm.weight", (hidden_size,), TensorType.F32)
    for layer in range(num_layers):
        vectors = {"attn_norm": hidden_size, "ffn_norm": hidden_size}
        vectors |= {"attn_q_norm": head_dim, "attn_k_norm": head_dim}
        for name, size in vectors.items():
            yield TensorEntry(f"blk.{layer}.{name}.weight", (size,), TensorType.F32)
        for name, shape in {
            "attn_q": (query_size, hidden_size),
            "attn_k": (key_size, hidden_size),
            "attn_v": (key_size, hidden_size),
            "attn_output": (hidden_size, query_size),
            "ffn_gate": (intermediate_size, hidden_size),
            "ffn_up": (intermediate_size, hidden_size),
            "ffn_down": (hidden_size, intermediate_size),
        }.items():
            yield TensorEntry(f"blk.{layer}.{name}.weight", shape, TensorType.Q8_0)
