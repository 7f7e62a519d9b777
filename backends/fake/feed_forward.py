"""What a layer does to every position by itself.

Letters: C = positions, H = hidden_size, F = intermediate_size, E = num_experts.
"""

import math
from dataclasses import dataclass

import numpy as np

from backends.fake.dense import Array, Dense
from ports.model_description import ClampedSwiGlu, Experts


@dataclass(frozen=True, slots=True)
class SwiGluWeights:
    """See `ports.model_description.SwiGlu`."""

    gate_up: Dense  # [2F, H]
    down: Dense  # [H, F]

    def __call__(self, x: Array) -> Array:
        """[C, H] to the same."""
        gate_up = self.gate_up(x)
        size = gate_up.shape[1] // 2
        gate, up = gate_up[:, :size], gate_up[:, size:]
        y = np.exp(-gate)
        y += 1
        np.divide(gate, y, out=y)
        y *= up
        return self.down(y)


@dataclass(frozen=True, slots=True)
class GeluWeights:
    """See `ports.model_description.Gelu`."""

    up: Dense  # [F, H]
    down: Dense  # [H, F]

    def __call__(self, x: Array) -> Array:
        """[C, H] to the same."""
        up = self.up(x)
        y = np.tanh(np.float32(math.sqrt(2 / math.pi)) * (up + np.float32(0.044715) * up * up * up))
        y += 1
        y *= up
        y *= np.float32(0.5)
        return self.down(y)


@dataclass(frozen=True, slots=True)
class ExpertsWeights:
    """See `ports.model_description.Experts`."""

    shape: Experts
    router: Dense  # [E, H]
    gate_up: tuple[Dense, ...]  # E times [2F, H]
    down: tuple[Dense, ...]  # E times [H, F]

    def __call__(self, x: Array) -> Array:
        """[C, H] to the same."""
        scores = self.router(x)
        chosen = np.argsort(-scores, axis=1, kind="stable")[:, : self.shape.num_active]  # [C, active]
        shares = np.take_along_axis(scores, chosen, axis=1)
        shares = np.exp(shares - shares.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        y = np.zeros_like(x)
        for expert in np.unique(chosen):
            rows, slots = np.nonzero(chosen == expert)
            inner = clamped_swiglu(self.gate_up[expert](x[rows]), self.shape.activation)
            y[rows] += shares[rows, slots, None] * self.down[expert](inner)
        return y


def clamped_swiglu(gate_up: Array, activation: ClampedSwiGlu) -> Array:
    """[C, 2F], gate then up, to [C, F]."""
    size, limit = gate_up.shape[1] // 2, np.float32(activation.limit)
    gate = np.minimum(gate_up[:, :size], limit)
    up = np.clip(gate_up[:, size:], -limit, limit)
    y: Array = (up + 1) * gate / (1 + np.exp(np.float32(-activation.alpha) * gate))
    return y
