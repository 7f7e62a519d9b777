"""The bytes of a model file to the device, a bounded piece at a time (M0-W-1221, M0-W-1222).

Dense tensors go straight to their place. Quantized ones go to a staging area on the device, from where a
kernel repacks them into their place; the next piece is copied there after that, in the same stream.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from ctypes import c_int32, c_int64

from backends.cuda.compiler import KernelSource
from backends.cuda.kernel import Kernel, Launch, pointer
from backends.cuda.memory import DeviceBuffer
from backends.cuda.packed import DENSE_TYPES
from backends.cuda.staging import StagingRing
from backends.cuda.stream import Stream
from backends.cuda.weights import DeviceWeights
from domain.errors import DeviceError, ModelLoadFailed
from ports.compute_backend import OnProgress
from ports.model_file import ModelFile, TensorInfo
from ports.tensor_types import TensorType

_BLOCK_THREADS = 256  # as in repack.cu
_LARGEST_BLOCK_BYTES = max(tensor_type.block.size_bytes for tensor_type in TensorType)


def repack_source(tensor_type: TensorType) -> KernelSource:
    """The kernel that repacks a quantized type."""
    return KernelSource("repack.cu", f"repack<{tensor_type.name}>")


def repack_sources(tensors: Iterable[TensorInfo]) -> list[KernelSource]:
    """The kernels that uploading `tensors` takes."""
    types = {tensor.type for tensor in tensors} - DENSE_TYPES
    return [repack_source(tensor_type) for tensor_type in sorted(types)]


class WeightUploader:
    """Fills `DeviceWeights` from a file.

    Args:
        kernels: at least `repack_sources` of what is uploaded.
        stream: where all of it happens.
        staging: memory for one piece before it is repacked; free again afterwards.
        chunk_bytes: of a piece at most, as is the size of `staging`; one block at least.
    """

    def __init__(
        self,
        kernels: Mapping[KernelSource, Kernel],
        stream: Stream,
        staging: DeviceBuffer,
        *,
        chunk_bytes: int,
    ) -> None:
        self._kernels = kernels
        self._stream = stream
        self._d_staging = staging.d_ptr
        self._most_bytes = min(chunk_bytes, staging.size_bytes)

    def upload(
        self,
        file: ModelFile,
        tensors: Sequence[TensorInfo],
        weights: DeviceWeights,
        *,
        on_progress: OnProgress,
    ) -> None:
        """Bring all of `tensors` to their places in `weights`; done when it returns.

        Raises:
            ModelLoadFailed: the file has become shorter, or a copy or kernel failed.
        """
        progress = _Progress(sum(tensor.size_bytes for tensor in tensors), on_progress)
        buffer_bytes = max(self._most_bytes, _LARGEST_BLOCK_BYTES)
        try:
            with closing(StagingRing(self._stream, buffer_bytes, progress.add)) as ring:
                for tensor in tensors:
                    self._upload_tensor(ring, file, tensor, weights)
                ring.finish()
        except DeviceError as error:
            raise ModelLoadFailed(f"{file.path}: upload failed: {error}") from error

    def _upload_tensor(
        self, ring: StagingRing, file: ModelFile, tensor: TensorInfo, weights: DeviceWeights
    ) -> None:
        if tensor.type in DENSE_TYPES:
            d_tensor = weights.address(tensor)
            for offset_bytes, size_bytes in self._pieces(tensor):
                with file.read(tensor, offset_bytes=offset_bytes, size_bytes=size_bytes) as data:
                    ring.send(data, d_tensor + offset_bytes)
            return
        block_bytes = tensor.type.block.size_bytes
        repack = self._repack(tensor, weights)
        for offset_bytes, size_bytes in self._pieces(tensor):
            with file.read(tensor, offset_bytes=offset_bytes, size_bytes=size_bytes) as data:
                ring.send(data, self._d_staging)
            repack.args[1].value = offset_bytes // block_bytes
            repack.args[2].value = size_bytes // block_bytes
            repack.enqueue(self._stream)

    def _pieces(self, tensor: TensorInfo) -> Iterator[tuple[int, int]]:
        """Offset and size of each, in whole blocks."""
        piece_bytes = self._piece_bytes(tensor)
        for offset_bytes in range(0, tensor.size_bytes, piece_bytes):
            yield offset_bytes, min(piece_bytes, tensor.size_bytes - offset_bytes)

    def _piece_bytes(self, tensor: TensorInfo) -> int:
        block_bytes = tensor.type.block.size_bytes
        return max(self._most_bytes // block_bytes, 1) * block_bytes

    def _repack(self, tensor: TensorInfo, weights: DeviceWeights) -> Launch:
        """The launch for the pieces of a tensor, with threads enough for the largest."""
        num_elements, block_bytes = tensor.type.block
        largest_bytes = min(self._piece_bytes(tensor), tensor.size_bytes)
        num_sub_blocks = largest_bytes // block_bytes * num_elements // 32
        return self._kernels[repack_source(tensor.type)].bind(
            -(-num_sub_blocks // _BLOCK_THREADS),
            _BLOCK_THREADS,
            [pointer(self._d_staging), c_int64(), c_int32(), weights.matrix(tensor)],
        )


class _Progress:
    """Adds up pieces; nothing is done yet when it is made."""

    def __init__(self, total_bytes: int, on_progress: OnProgress) -> None:
        self._num_done_bytes, self._total_bytes = 0, total_bytes
        self._on_progress = on_progress
        on_progress(0, total_bytes)

    def add(self, num_bytes: int) -> None:
        self._num_done_bytes += num_bytes
        self._on_progress(self._num_done_bytes, self._total_bytes)
