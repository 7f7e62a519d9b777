"""A model's tensors on the device: one allocation, each tensor packed and from a 256-byte boundary on."""

from collections.abc import Sequence
from math import prod

from backends.cuda.packed import PackedMatrix, packed_matrix
from domain.memory_plan import ALIGNMENT_BYTES, align
from ports.model_file import TensorInfo


class DeviceWeights:
    """Where each tensor lies.

    Args:
        tensors: in the order in which they lie.
        d_base: start of the allocation.
    """

    def __init__(self, tensors: Sequence[TensorInfo], d_base: int) -> None:
        assert d_base % ALIGNMENT_BYTES == 0, f"{d_base:#x} is not aligned (M0-W-1220)"
        self._d_tensors: dict[str, int] = {}
        d_next = d_base
        for tensor in tensors:
            self._d_tensors[tensor.name] = d_next
            d_next += align(tensor.size_bytes)
        self.size_bytes = d_next - d_base

    def matrix(self, tensor: TensorInfo, *, first_row: int = 0) -> PackedMatrix:
        """The rows of a tensor from `first_row` on; all its dimensions but the last count as rows."""
        return packed_matrix(
            self._d_tensors[tensor.name],
            tensor.type,
            rows=prod(tensor.shape[:-1]),
            cols=tensor.shape[-1],
            first_row=first_row,
        )

    def address(self, tensor: TensorInfo, *, first_element: int = 0) -> int:
        """Of an element of a dense tensor."""
        return self._d_tensors[tensor.name] + first_element * tensor.type.block.size_bytes
