"""Load progress in quarters (M0-W-1621)."""

from collections.abc import Callable

MILESTONES = (0, 25, 50, 75, 100)


class LoadProgress:
    """Calls `reach` with 0, 25, 50, 75 and 100, each once and in order, as bytes are loaded."""

    def __init__(self, reach: Callable[[int], None]) -> None:
        self._reach = reach
        self._remaining = list(MILESTONES)

    def update(self, done_bytes: int, total_bytes: int) -> None:
        """`done_bytes` of `total_bytes` are loaded; nothing at all to load counts as everything."""
        percent = 100 * done_bytes // total_bytes if total_bytes else 100
        while self._remaining and self._remaining[0] <= percent:
            self._reach(self._remaining.pop(0))
