"""The KV pool's pages: which are free, and how many a sequence needs."""

from collections.abc import Iterable, Sequence

from domain.errors import VramExhausted


class PagePool:
    """Page ids in [0, num_pages), each free or with one owner."""

    def __init__(self, num_pages: int, *, page_bytes: int) -> None:
        self.num_pages = num_pages
        self._page_bytes = page_bytes
        self._free = list(reversed(range(num_pages)))

    @property
    def num_free(self) -> int:
        return len(self._free)

    def take(self, num_pages: int) -> Sequence[int]:
        """Hand out `num_pages` pages.

        Raises:
            VramExhausted: fewer are free; none was taken.
        """
        if num_pages > self.num_free:
            raise VramExhausted(
                required_bytes=num_pages * self._page_bytes,
                available_bytes=self.num_free * self._page_bytes,
            )
        return [self._free.pop() for _ in range(num_pages)]

    def give_back(self, pages: Iterable[int]) -> None:
        self._free.extend(pages)
