"""The KV pool's pages: which are free, and where in a page each layer lies."""

from collections.abc import Iterable, Sequence
from itertools import accumulate

from domain.errors import VramExhausted
from domain.memory_plan import PAGE_TOKENS
from ports.model_description import Attention, ModelDescription

_HALF_BYTES = 2


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
                required_bytes=num_pages * self._page_bytes, available_bytes=self.num_free * self._page_bytes
            )
        return [self._free.pop() for _ in range(num_pages)]

    def give_back(self, pages: Iterable[int]) -> None:
        self._free.extend(pages)


def layer_offsets(description: ModelDescription) -> tuple[int, ...]:
    """Where each layer's keys begin in a page; its values follow them."""
    sizes = [2 * key_bytes(layer.attention) for layer in description.layers]
    return tuple(accumulate(sizes[:-1], initial=0))


def key_bytes(attention: Attention) -> int:
    """Of a page's keys in one layer, FP16; its values take as many."""
    return attention.num_kv_heads * PAGE_TOKENS * attention.head_dim * _HALF_BYTES
