"""The port to randomness."""

from typing import Protocol


class Entropy(Protocol):
    """Unpredictable numbers, for seeds that the caller did not give."""

    def seed(self) -> int:
        """A fresh seed in [0, 2^64)."""
        ...
