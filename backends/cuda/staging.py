"""The way of pieces to their place: a stream, and room on the device to repack quantized ones from."""

from collections.abc import Mapping, Sequence
from ctypes import c_int32, c_int64, pointer
from typing import Any

from backends.cuda.compiler import KernelSource
from backends.cuda.kernel import Kernel, Launch
from backends.cuda.kernel import pointer as device_pointer
from backends.cuda.packed import DENSE_TYPES, PackedMatrix
from backends.cuda.pieces import Piece
from backends.cuda.stream import Stream, chunk_pointers
from backends.cuda.weights import DeviceWeights
from ports.tensor_types import TensorType

_BLOCK_THREADS = 256  # as in repack.cu


def repack_source(tensor_type: TensorType) -> KernelSource:
    """The kernel that repacks a quantized type."""
    return KernelSource("repack.cu", f"repack<{tensor_type.name}>")


class Way:
    """Brings one piece after another to its place, without waiting.

    Args:
        weights: the places.
        kernels: `repack_source` of each quantized type.
        stream: where everything is enqueued, so that staging is free again when the next piece gets there.
        d_staging: device memory for a piece that is yet to be repacked.
        piece_bytes: of that; no piece is larger.
        chunk_bytes: copied at once, at most.
    """

    def __init__(
        self,
        weights: DeviceWeights,
        kernels: Mapping[KernelSource, Kernel],
        stream: Stream,
        *,
        d_staging: int,
        piece_bytes: int,
        chunk_bytes: int,
    ) -> None:
        self.stream = stream
        self._weights = weights
        self._kernels = kernels
        self._d_staging = d_staging
        self._piece_bytes = piece_bytes
        self._chunk_bytes = chunk_bytes
        self._d_staging_chunks = chunk_pointers(d_staging, piece_bytes, chunk_bytes)
        self._repacks: dict[TensorType, Launch] = {}

    def bring(self, piece: Piece, host_chunks: Sequence[Any]) -> None:
        """Enqueue what brings `piece`, which lies in page-locked chunks at these pointers, to its place.

        Raises:
            DeviceError: a copy or kernel failed.
        """
        tensor, offset_bytes, size_bytes = piece
        if tensor.type in DENSE_TYPES:
            d_place = self._weights.address(tensor) + offset_bytes
            self._copy(chunk_pointers(d_place, size_bytes, self._chunk_bytes), host_chunks, size_bytes)
        else:
            self._copy(self._d_staging_chunks, host_chunks, size_bytes)
            self._repack(piece)

    def _copy(self, d_chunks: Sequence[Any], host_chunks: Sequence[Any], size_bytes: int) -> None:
        num_whole, rest_bytes = divmod(size_bytes, self._chunk_bytes)
        sizes = [self._chunk_bytes] * num_whole + ([rest_bytes] if rest_bytes else [])
        self.stream.copy_chunks_to_device_async(d_chunks[: len(sizes)], host_chunks[: len(sizes)], sizes)

    def _repack(self, piece: Piece) -> None:
        tensor = piece.tensor
        if tensor.type not in self._repacks:
            self._repacks[tensor.type] = self._bind(tensor.type)
        launch = self._repacks[tensor.type]
        block_bytes = tensor.type.block.size_bytes
        launch.args[1].value = piece.offset_bytes // block_bytes
        launch.args[2].value = piece.size_bytes // block_bytes
        pointer(launch.args[3])[0] = self._weights.matrix(tensor)
        launch.enqueue(self.stream)

    def _bind(self, tensor_type: TensorType) -> Launch:
        """The launch for all pieces of a type, with threads enough for the largest."""
        num_elements, block_bytes = tensor_type.block
        num_sub_blocks = self._piece_bytes // block_bytes * num_elements // 32
        return self._kernels[repack_source(tensor_type)].bind(
            -(-num_sub_blocks // _BLOCK_THREADS),
            _BLOCK_THREADS,
            [device_pointer(self._d_staging), c_int64(), c_int32(), PackedMatrix()],
        )
