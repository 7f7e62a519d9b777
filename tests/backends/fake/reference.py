"""The forward pass written a second time, to be read and not to be fast.

float64, one position and one head at a time, no cache; tensors by the names and rules of spec §19.1. It
never looks at a `ModelDescription`.
"""

import math

import numpy as np
from gguf import GGMLQuantizationType
from gguf.quants import dequantize
from numpy.typing import NDArray

from tests.models.memory_file import MemoryModelFile

Vector = NDArray[np.float64]


def reference_logits(file: MemoryModelFile, token_ids: list[int]) -> Vector:
    """Logits after each of `token_ids`: [P, V]."""
    return np.array([_last_logits(_Model(file), token_ids[: i + 1]) for i in range(len(token_ids))])


class _Model:
    def __init__(self, file: MemoryModelFile) -> None:
        self.file = file
        self.architecture = str(file.metadata["general.architecture"])
        self.num_layers = int(self.setting("block_count"))
        self.num_heads = int(self.setting("attention.head_count"))
        self.num_kv_heads = int(self.setting("attention.head_count_kv"))
        self.head_dim = int(self.setting("attention.key_length"))
        self.rotary_dim = int(self.setting("rope.dimension_count"))
        self._cache: dict[str, Vector] = {}

    def setting(self, key: str) -> float:
        value = self.file.metadata[f"{self.architecture}.{key}"]
        assert isinstance(value, int | float)
        return value

    def tensor(self, name: str) -> Vector:
        if name not in self._cache:
            info = self.file.tensors[name]
            data = np.frombuffer(self.file.data, np.uint8, info.size_bytes, info.offset_bytes)
            rows = data.reshape(*info.shape[:-1], -1)
            self._cache[name] = dequantize(rows, GGMLQuantizationType(info.type)).astype(np.float64)
        return self._cache[name]

    def linear(self, name: str, x: Vector) -> Vector:
        y = self.tensor(f"{name}.weight") @ x
        if f"{name}.bias" in self.file.tensors:
            y = y + self.tensor(f"{name}.bias")
        return y

    def norm(self, name: str, x: Vector) -> Vector:
        """RMSNorm; x itself where the architecture has no such norm."""
        if f"{name}.weight" not in self.file.tensors:
            return x
        eps = self.setting("attention.layer_norm_rms_epsilon")
        return x / math.sqrt(float(np.mean(x**2)) + eps) * self.tensor(f"{name}.weight")


def _last_logits(model: _Model, token_ids: list[int]) -> Vector:
    xs = [model.tensor("token_embd.weight")[i] for i in token_ids]
    for i in range(model.num_layers):
        prefix = f"blk.{i}"
        attended = _attention(model, prefix, [model.norm(f"{prefix}.attn_norm", x) for x in xs])
        xs = [x + y for x, y in zip(xs, attended, strict=True)]
        xs = [x + _feed_forward(model, prefix, model.norm(f"{prefix}.ffn_norm", x)) for x in xs]
    head = "output" if "output.weight" in model.file.tensors else "token_embd"
    return model.linear(head, model.norm("output_norm", xs[-1]))


def _feed_forward(model: _Model, prefix: str, x: Vector) -> Vector:
    gate = model.linear(f"{prefix}.ffn_gate", x)
    silu = gate / (1 + np.exp(-gate))
    return model.linear(f"{prefix}.ffn_down", silu * model.linear(f"{prefix}.ffn_up", x))


def _attention(model: _Model, prefix: str, xs: list[Vector]) -> list[Vector]:
    queries = [_turned_heads(model, f"{prefix}.attn_q", x, t) for t, x in enumerate(xs)]
    keys = [_turned_heads(model, f"{prefix}.attn_k", x, t) for t, x in enumerate(xs)]
    values = [_heads(model, model.linear(f"{prefix}.attn_v", x)) for x in xs]
    group_size = model.num_heads // model.num_kv_heads
    outputs = []
    for t in range(len(xs)):
        mixed = []
        for head in range(model.num_heads):
            kv_head = head // group_size
            scores = [queries[t][head] @ keys[s][kv_head] / math.sqrt(model.head_dim) for s in range(t + 1)]
            weights = np.exp(np.array(scores) - max(scores))
            weights /= weights.sum()
            mixed.append(sum(weights[s] * values[s][kv_head] for s in range(t + 1)))
        outputs.append(model.linear(f"{prefix}.attn_output", np.concatenate(mixed)))
    return outputs


def _heads(model: _Model, x: Vector) -> list[Vector]:
    return [x[i : i + model.head_dim].copy() for i in range(0, len(x), model.head_dim)]


def _turned_heads(model: _Model, name: str, x: Vector, position: int) -> list[Vector]:
    heads = [model.norm(f"{name}_norm", head) for head in _heads(model, model.linear(name, x))]
    for head in heads:
        _turn(model, head, position)
    return heads


def _turn(model: _Model, head: Vector, position: int) -> None:
    """RoPE on the first rotary_dim elements: neighbours for llama, halves for the others."""
    half = model.rotary_dim // 2
    has_factors = "rope_freqs.weight" in model.file.tensors
    for i in range(half):
        angle = position * model.setting("rope.freq_base") ** (-2 * i / model.rotary_dim)
        if has_factors:
            angle /= float(model.tensor("rope_freqs.weight")[i])
        a, b = (2 * i, 2 * i + 1) if model.architecture == "llama" else (i, i + half)
        x, y = head[a], head[b]
        head[a] = x * math.cos(angle) - y * math.sin(angle)
        head[b] = x * math.sin(angle) + y * math.cos(angle)
