"""Rotations at the positions where short floats would fail."""

import cmath

import numpy as np
import pytest

from backends.fake.rope import Positions, Rotor


@pytest.mark.parametrize("position", [0, 1, 4097, 1_000_003, 2**24 - 1])
def test_a_rotation_is_exact_at_any_position(position: int) -> None:
    frequencies = 10_000.0 ** (-np.arange(0, 16, 2) / 16)
    expected = [cmath.exp(1j * position * float(frequency)) for frequency in frequencies]

    np.testing.assert_allclose(
        Positions(position, position + 1).rotations(Rotor(frequencies))[0, 0], expected, atol=1e-7
    )
