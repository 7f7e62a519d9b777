"""Norms over the last dimension."""

from dataclasses import dataclass

import numpy as np

from backends.fake.dense import Array


@dataclass(frozen=True, slots=True)
class RmsNormWeights:
    """See `ports.model_description.RmsNorm`."""

    weight: Array  # [size]
    eps: float

    def __call__(self, x: Array) -> Array:
        """[..., size] to the same."""
        mean_square = np.einsum("...h,...h->...", x, x) / x.shape[-1]
        y: Array = x * (1 / np.sqrt(mean_square + np.float32(self.eps)))[..., None]
        y *= self.weight
        return y


@dataclass(frozen=True, slots=True)
class LayerNormWeights:
    """See `ports.model_description.LayerNorm`."""

    weight: Array  # [size]
    bias: Array  # [size]
    eps: float

    def __call__(self, x: Array) -> Array:
        """[..., size] to the same."""
        y: Array = x - x.mean(axis=-1, keepdims=True)
        variance = np.einsum("...h,...h->...", y, y) / x.shape[-1]
        y *= (1 / np.sqrt(variance + np.float32(self.eps)))[..., None]
        y *= self.weight
        y += self.bias
        return y
