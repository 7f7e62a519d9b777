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
class LinearScaling:
    """Every frequency divided by `factor`. Source: Chen et al. 2023 (arXiv:2306.15595)."""

    factor: float


@dataclass(frozen=True, slots=True)
class Yarn:
    """Frequencies for a context `factor` times the original. Source: Peng et al. 2023 (arXiv:2309.00071).

    What turns more than `beta_fast` times within the original context keeps its frequency, what turns less
    than `beta_slow` times has it divided by `factor`; in between, a blend, linear in the index of the pair.
    """

    factor: float
    original_context_length: int
    beta_fast: float
    beta_slow: float
    attention_factor: float  # multiplies every cosine and sine


@dataclass(frozen=True, slots=True)
class Rope:
    """Rotary position embedding. Source: Su et al. 2021, eq. 34 (arXiv:2104.09864)."""

    pairing: RopePairing
    rotary_dim: int
    theta: float
    frequency_factors: TensorInfo | None = None  # [rotary_dim/2], divides each frequency (Llama 3 scaling)
    scaling: LinearScaling | Yarn | None = None


@dataclass(frozen=True, slots=True)
class RmsNorm:
    """y = x / sqrt(mean(x^2) + eps) * weight. Source: Zhang & Sennrich 2019, eq. 4 (arXiv:1910.07467)."""

    weight: TensorInfo  # [H], or [head_dim] where it norms heads
    eps: float


@dataclass(frozen=True, slots=True)
class LayerNorm:
    """y = (x - mean(x)) / sqrt(var(x) + eps) * weight + bias. Source: Ba et al. 2016 (arXiv:1607.06450).

    In two passes: the variance is the mean of (x - mean)^2, divided by H.
    """

    weight: TensorInfo  # [H]
    bias: TensorInfo  # [H]
    eps: float


Norm = RmsNorm | LayerNorm


@dataclass(frozen=True, slots=True)
class Linear:
    """y = weight @ x + bias; some rows of the tensors, where a file stores several matrices as one."""

    weight: TensorInfo  # [out, in]
    bias: TensorInfo | None = None  # [out]
    part: range | None = None  # the rows of `weight` and `bias` that belong to it, where not all do

    @property
    def rows(self) -> range:
        """The rows of `weight` and `bias` that belong to it."""
        return self.part if self.part is not None else range(self.weight.shape[0])


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
    rope: Rope | None  # None: the model has a position embedding
    query_norm: RmsNorm | None = None  # of every head by itself, before it turns
    key_norm: RmsNorm | None = None  # likewise
    window: int | None = None  # each position sees that many at most, itself included
    sinks: TensorInfo | None = None  # [num_heads], one more logit in a head's softmax, of no position


@dataclass(frozen=True, slots=True)
class SwiGlu:
    """y = down @ (silu(gate @ x) * (up @ x)). Source: Shazeer 2020 (arXiv:2002.05202)."""

    intermediate_size: int
    gate: Linear  # [F, H]
    up: Linear  # [F, H]
    down: Linear  # [H, F]


@dataclass(frozen=True, slots=True)
class Gelu:
    """y = down @ gelu(up @ x), the tanh approximation. Source: Hendrycks & Gimpel 2016 (arXiv:1606.08415)."""

    intermediate_size: int
    up: Linear  # [F, H]
    down: Linear  # [H, F]


@dataclass(frozen=True, slots=True)
class ExpertLinear:
    """y = weight[e] @ x + bias[e] for an expert e. Letter: E = num_experts."""

    weight: TensorInfo  # [E, out, in]
    bias: TensorInfo  # [E, out]


@dataclass(frozen=True, slots=True)
class ClampedSwiGlu:
    """(u + 1) * g * sigmoid(alpha * g), with g = min(gate, limit) and u = up within [-limit, limit].

    Source: the reference implementation of GPT-OSS (github.com/openai/gpt-oss), `swiglu`.
    """

    alpha: float
    limit: float


@dataclass(frozen=True, slots=True)
class Experts:
    """The `num_active` experts with the highest router logits, weighted by a softmax over those alone.

    Each is y = down @ activation(gate @ x, up @ x). Of equal logits the lower index wins. E = num_experts.
    """

    num_experts: int
    num_active: int
    intermediate_size: int
    router: Linear  # [E, H]
    gate: ExpertLinear  # [E, F, H]
    up: ExpertLinear  # [E, F, H]
    down: ExpertLinear  # [E, H, F]
    activation: ClampedSwiGlu


FeedForward = SwiGlu | Gelu | Experts


@dataclass(frozen=True, slots=True)
class Layer:
    """x += attention(attention_norm(x)); x += feed_forward(feed_forward_norm(x))."""

    attention_norm: Norm
    attention: Attention
    feed_forward_norm: Norm
    feed_forward: FeedForward


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
    output_norm: Norm
    output: Linear  # [V, H]; the embedding itself where the head is tied
    position_embedding: TensorInfo | None  # [context_length, H], added to the embedding
    tensors: tuple[TensorInfo, ...]  # every tensor the model computes with, each once

    @property
    def num_active_experts(self) -> int | None:
        """Experts that compute each token in a layer that has any; None where no layer has."""
        counts = [
            each.feed_forward.num_active for each in self.layers if isinstance(each.feed_forward, Experts)
        ]
        return max(counts, default=None)

    @property
    def kv_bytes_per_token(self) -> int:
        """Keys and values of one position in all layers, FP16."""
        return sum(2 * 2 * layer.attention.num_kv_heads * layer.attention.head_dim for layer in self.layers)
