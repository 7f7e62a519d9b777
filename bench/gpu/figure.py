"""One measured figure: several samples, what the device could do at most, and what llama.cpp does."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

_SMALLER_IS_BETTER = ("s", "ms")


class MeasurementFailed(Exception):
    """What was to be measured did not run; the message says why."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A row of the table. `limit` and `peer` are in the figure's own unit."""

    what: str
    unit: str
    samples: Sequence[float]  # at least one
    limit: float | None = None
    peer: float | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def spread(self) -> float:
        """From the least sample to the greatest, as a share of the median."""
        return (max(self.samples) - min(self.samples)) / self.median

    @property
    def share_of_limit(self) -> float | None:
        return None if self.limit is None else self.median / self.limit

    @property
    def times_peer(self) -> float | None:
        """How many times as fast as the peer."""
        if self.peer is None:
            return None
        return self.peer / self.median if self.unit in _SMALLER_IS_BETTER else self.median / self.peer
