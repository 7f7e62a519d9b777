"""A model as data: what to compute, and which tensor plays which role.

Backends execute descriptions and never see an architecture's rules.
Letters: H = hidden_size, Q = num_heads * head_dim, K = num_kv_heads * head_dim, F = intermediate_size,
V = vocab_size. Matrices are stored [out, in], rows contiguous.
"""

from dataclasses import dataclass
from enum import Enum

from ports.model_file import TensorInfo


class RopePairing(Enum):
    """Which elements of a head turn together."""

    ADJACENT = "adjacent"  # (2i, 2i+1)
    HALF_SPLIT = "half-split"  # (i, i + rotary_dim/2)


@dataclass(frozen=True, slots=True)
class Rope:
    """Rotary position embedding. Source: Su et al. 2021, eq. 34 (arXiv:2104.09864)."""

    pairing: RopePairing
    rotary_dim: int
    theta: float
    frequency_factors: TensorInfo | None = None  # [rotary_dim/2], divides each frequency (Llama 3 scaling)


@dataclass(frozen=True, slots=True)
class RmsNorm:
    """y = x / sqrt(mean(x^2) + eps) * weight. Source: Zhang & Sennrich 2019, eq. 4 (arXiv:1910.07467)."""

    weight: TensorInfo  # [H]
    eps: float


@dataclass(frozen=True, slots=True)
class Linear:
    """y = weight @ x + bias."""

    weight: TensorInfo  # [out, in]
    bias: TensorInfo | None = None  # [out]


@dataclass(frozen=True, slots=True)
class Attention:
    """Causal grouped-query attention, scale 1/sqrt(head_dim); query head h reads KV head h // group size."""

    num_heads: int
    num_kv_heads: int
    head_dim: int
    query: Linear  # [Q, H]
    key: Linear  # [K, H]
    value: Linear  # [K, H]
    output: Linear  # [H, Q]
    rope: Rope


@dataclass(frozen=True, slots=True)
class SwiGlu:
    """y = down @ (silu(gate @ x) * (up @ x)). Source: Shazeer 2020 (arXiv:2002.05202)."""

    intermediate_size: int
    gate: Linear  # [F, H]
    up: Linear  # [F, H]
    down: Linear  # [H, F]


@dataclass(frozen=True, slots=True)
class Layer:
    """x += attention(attention_norm(x)); x += feed_forward(feed_forward_norm(x))."""

    attention_norm: RmsNorm
    attention: Attention
    feed_forward_norm: RmsNorm
    feed_forward: SwiGlu


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """One decoder-only transformer."""

    architecture: str  # for people and /health; never for decisions
    name: str
    quant_kind: str
    vocab_size: int
    hidden_size: int
    context_length: int
    embedding: TensorInfo  # [V, H]
    layers: tuple[Layer, ...]
    output_norm: RmsNorm
    output: Linear  # [V, H]; the embedding itself where the head is tied
    tensors: tuple[TensorInfo, ...]  # every tensor the model computes with, each once

    @property
    def kv_bytes_per_token(self) -> int:
        """Keys and values of one position in all layers, FP16."""
        return sum(2 * 2 * layer.attention.num_kv_heads * layer.attention.head_dim for layer in self.layers)
