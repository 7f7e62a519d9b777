"""The tensor types a model file may hold: block geometry, no arithmetic."""

from enum import IntEnum
from typing import NamedTuple


class BlockGeometry(NamedTuple):
    """How many elements one stored block holds, and how many bytes it takes."""

    num_elements: int
    size_bytes: int


class TensorType(IntEnum):
    """Supported ggml tensor types, by their number in a GGUF file.

    Source: ggml.h `enum ggml_type`; block structures in ggml-common.h.
    """

    F32 = 0
    F16 = 1
    Q4_0 = 2
    Q4_1 = 3
    Q5_0 = 6
    Q5_1 = 7
    Q8_0 = 8
    Q4_K = 12
    Q5_K = 13
    Q6_K = 14
    BF16 = 30
    MXFP4 = 39

    @property
    def block(self) -> BlockGeometry:
        return _GEOMETRY[self]

    def row_bytes(self, num_elements: int) -> int:
        """Bytes of one row of `num_elements`, which must be a multiple of the block's elements."""
        return num_elements // self.block.num_elements * self.block.size_bytes


_GEOMETRY: dict[TensorType, BlockGeometry] = {
    TensorType.F32: BlockGeometry(1, 4),
    TensorType.F16: BlockGeometry(1, 2),
    TensorType.BF16: BlockGeometry(1, 2),
    TensorType.Q4_0: BlockGeometry(32, 18),
    TensorType.Q4_1: BlockGeometry(32, 20),
    TensorType.Q5_0: BlockGeometry(32, 22),
    TensorType.Q5_1: BlockGeometry(32, 24),
    TensorType.Q8_0: BlockGeometry(32, 34),
    TensorType.Q4_K: BlockGeometry(256, 144),
    TensorType.Q5_K: BlockGeometry(256, 176),
    TensorType.Q6_K: BlockGeometry(256, 210),
    TensorType.MXFP4: BlockGeometry(32, 17),
}
