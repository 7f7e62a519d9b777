"""Rotary position embedding as complex numbers: a pair of elements is one, turning it is one product."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rotations = NDArray[np.complex64]


@dataclass(frozen=True, slots=True, eq=False)
class Rotor:
    """How fast each pair of elements turns; one object for all layers that turn alike."""

    frequencies: NDArray[np.float64]  # [R/2], radians per position
    magnitude: float = 1.0  # of what a pair is multiplied with


class Positions:
    """The positions computed in one pass, and how each turns. Letters: C = positions, R = rotary_dim."""

    def __init__(self, start: int, stop: int) -> None:
        self.start = start
        self.stop = stop
        self.ids = np.arange(start, stop)
        self._rotations: dict[Rotor, Rotations] = {}

    def rotations(self, rotor: Rotor) -> Rotations:
        """cos + i sin of position * frequency, times the magnitude, once for all that share a rotor.

        The angles are float64: at far positions float32 would miss them by whole radians.

        Returns:
            [C, 1, R/2].

        Source: Su et al. 2021, eq. 34 (arXiv:2104.09864).
        """
        if rotor not in self._rotations:
            angles = np.multiply.outer(self.ids, rotor.frequencies)
            turns = rotor.magnitude * np.exp(1j * angles)
            self._rotations[rotor] = turns.astype(np.complex64)[:, None, :]
        return self._rotations[rotor]
