"""A model's weights in host memory, as float32, in the arrangement that is quickest to multiply with.

Letters: H = hidden_size, V = vocab_size. Matrices are [out, in].
"""

from collections.abc import Callable
from dataclasses import dataclass

from backends.fake.attention import AttentionWeights
from backends.fake.dense import Array, Dense
from ports.model_description import ModelDescription

Operation = Callable[[Array], Array]  # [rows, H] to [rows, H]; a norm, a feed-forward


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """One layer."""

    attention_norm: Operation
    attention: AttentionWeights
    feed_forward_norm: Operation
    feed_forward: Operation


@dataclass(frozen=True, slots=True)
class Weights:
    """All of a model. A tied head is the embedding itself."""

    description: ModelDescription
    embedding: Array  # [V, H]
    layers: tuple[LayerWeights, ...]
    output_norm: Operation
    output: Dense  # [V, H]
    position_embedding: Array | None  # [context_length, H]
