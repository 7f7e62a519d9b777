"""The KV pool's pages: which are free, and how many a sequence needs."""

from collections.abc import Iterable, Sequence

from backends.fake.fault_injector import FaultInjector
from domain.errors import VramExhausted


class PagePool:
    """Page ids in [0, num_pages), each free or with one owner."""

    def __init__(self, num_pages: int, *, page_bytes: int, faults: FaultInjector) -> None:
        self.num_pages = num_pages
        self._page_bytes = page_bytes
        self._faults = faults
        self._free = list(reversed(range(num_pages)))

    @property
    def num_free(self) -> int:
        return len(self._free)

    def take(self, num_pages: int) -> Sequence[int]:
        """Hand out `num_pages` pages.

        Raises:
            VramExhausted: fewer are free, or a fault strikes at one of them; none was taken.
        """
        if num_pages > self.num_free:
            raise VramExhausted(
                required_bytes=num_pages * self._page_bytes,
                available_bytes=self.num_free * self._page_bytes,
            )
        pages: list[int] = []
        try:
            for _ in range(num_pages):
                self._faults.begin_allocation(self._page_bytes)
                pages.append(self._free.pop())
        except VramExhausted:
            self.give_back(pages)
            raise
        return pages

    def give_back(self, pages: Iterable[int]) -> None:
        self._free.extend(pages)
