"""Matrices in host memory, as float32, [out, in]."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Dense:
    """One matrix, or several that read the same input, one above the other."""

    weight: Array  # [out, in]
    bias: Array | None = None  # [out]

    def __call__(self, x: Array) -> Array:
        """[rows, in] to [rows, out]."""
        y: Array = x @ self.weight.T
        if self.bias is not None:
            y += self.bias
        return y
