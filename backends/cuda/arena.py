"""One allocation handed out piece by piece."""

from domain.errors import VramExhausted
from domain.memory_plan import align


class Arena:
    """Pieces of a device allocation, each aligned to 256 bytes. They are freed together, with the allocation.

    Args:
        d_ptr: where the allocation starts.
        size_bytes: of the allocation.
    """

    def __init__(self, d_ptr: int, size_bytes: int) -> None:
        self._d_ptr = d_ptr
        self._size_bytes = size_bytes
        self._num_taken_bytes = 0

    def take(self, size_bytes: int) -> int:
        """The address of the next `size_bytes`.

        Raises:
            VramExhausted: the plan has not room enough for what the kernels need.
        """
        d_ptr = self._d_ptr + self._num_taken_bytes
        self._num_taken_bytes += align(size_bytes)
        if self._num_taken_bytes > self._size_bytes:
            raise VramExhausted(required_bytes=self._num_taken_bytes, available_bytes=self._size_bytes)
        return d_ptr
