"""The port to new identifiers."""

from typing import Protocol


class Ids(Protocol):
    """New identifiers."""

    def correlation_id(self) -> str:
        """A new UUIDv4 in its canonical form."""
        ...
