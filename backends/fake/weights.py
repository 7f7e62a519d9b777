"""A model's weights in host memory, as float32, in the arrangement that is quickest to multiply with.

Letters: H = hidden_size, Q = num_heads * head_dim, K = num_kv_heads * head_dim, F = intermediate_size,
V = vocab_size. Matrices are [out, in].
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ports.model_description import Attention, ModelDescription

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Norm:
    """RMSNorm."""

    weight: Array  # [H]
    eps: float


@dataclass(frozen=True, slots=True)
class Dense:
    """One matrix, or several that read the same input, one above the other."""

    weight: Array  # [out, in]
    bias: Array | None  # [out]

    def __call__(self, x: Array) -> Array:
        """[rows, in] to [rows, out]."""
        y: Array = x @ self.weight.T
        if self.bias is not None:
            y += self.bias
        return y


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """One layer. Rows of Q and K are arranged so that the pairs RoPE turns lie side by side."""

    shape: Attention  # the numbers of heads and their size
    frequencies: NDArray[np.float64]  # [rotary_dim/2], radians per position; one array for equal ropes
    attention_norm: Norm
    query_key_value: Dense  # [Q + 2K, H]
    attention_output: Dense  # [H, Q]
    feed_forward_norm: Norm
    gate_up: Dense  # [2F, H]
    down: Dense  # [H, F]


@dataclass(frozen=True, slots=True)
class Weights:
    """All of a model. A tied head is the embedding itself."""

    description: ModelDescription
    embedding: Array  # [V, H]
    layers: tuple[LayerWeights, ...]
    output_norm: Norm
    output: Dense  # [V, H]
