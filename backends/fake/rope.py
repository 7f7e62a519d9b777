"""Rotary position embedding as complex numbers: a pair of elements is one, turning it is one product."""

import numpy as np
from numpy.typing import NDArray

Frequencies = NDArray[np.float64]
Rotations = NDArray[np.complex64]


class Positions:
    """The positions computed in one pass, and how each turns. Letters: C = positions, R = rotary_dim."""

    def __init__(self, start: int, stop: int) -> None:
        self.start = start
        self.stop = stop
        self.ids = np.arange(start, stop)
        self._rotations: dict[int, Rotations] = {}

    def rotations(self, frequencies: Frequencies) -> Rotations:
        """cos + i sin of position * frequency, computed once for all layers that share the array.

        The angles are float64: at far positions float32 would miss them by whole radians.

        Args:
            frequencies: [R/2], radians per position.

        Returns:
            [C, 1, R/2].

        Source: Su et al. 2021, eq. 34 (arXiv:2104.09864).
        """
        key = id(frequencies)
        if key not in self._rotations:
            angles = np.multiply.outer(self.ids, frequencies)
            self._rotations[key] = np.exp(1j * angles).astype(np.complex64)[:, None, :]
        return self._rotations[key]
