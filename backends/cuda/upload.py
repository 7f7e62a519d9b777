"""The bytes of a model file to the device, a bounded piece at a time (M0-W-1221, M0-W-1222).

The file is read in the background; the thread that owns the context begins that, and makes all calls of the
driver but the one that locks host memory (see `host_memory`). That memory goes round: a piece is read into it
and copied from it, and once the copy is done it takes another. Dense tensors go straight to their place,
quantized ones to a staging area from where a kernel repacks them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing, suppress

from backends.cuda.compiler import KernelSource
from backends.cuda.host_memory import HostMemory
from backends.cuda.kernel import Kernel
from backends.cuda.memory import DeviceBuffer
from backends.cuda.packed import DENSE_TYPES
from backends.cuda.pieces import pieces_of
from backends.cuda.round_trip import RoundTrip, Slot
from backends.cuda.staging import Way, repack_source
from backends.cuda.stream import Event, Stream, chunk_pointers
from backends.cuda.weights import DeviceWeights
from domain.errors import DeviceError, ModelLoadFailed
from domain.memory_plan import ALIGNMENT_BYTES, align
from ports.background_reads import BackgroundReads
from ports.compute_backend import OnProgress
from ports.model_file import ModelFile, TensorInfo

# At most. Larger ones take fewer calls, but what they go through then fits a processor's cache less well.
PIECE_BYTES = 4 * 2**20
NUM_SLOTS = 24  # pieces under way: being read, as many as the file can at once, waiting, or being copied
NUM_WAYS = 2  # while one repacks, the other copies


def repack_sources(tensors: Iterable[TensorInfo]) -> list[KernelSource]:
    """The kernels that uploading `tensors` takes."""
    types = {tensor.type for tensor in tensors} - DENSE_TYPES
    return [repack_source(tensor_type) for tensor_type in sorted(types)]


def largest_piece_bytes(tensors: Iterable[TensorInfo]) -> int:
    """How large pieces of `tensors` are at most."""
    return min(PIECE_BYTES, align(max((tensor.size_bytes for tensor in tensors), default=0)))


def host_bytes(tensors: Sequence[TensorInfo]) -> int:
    """How much page-locked memory is of use in uploading `tensors`."""
    piece_bytes = largest_piece_bytes(tensors)
    num_pieces = sum(1 for _ in pieces_of(tensors, piece_bytes))
    return min(NUM_SLOTS, num_pieces) * piece_bytes


class WeightUploader:
    """Fills `DeviceWeights` from a file. In the thread that owns the context.

    Args:
        kernels: at least `repack_sources` of what is uploaded.
        staging: device memory for `NUM_WAYS` pieces before they are repacked; free again afterwards.
        host: memory for the pieces that are under way, more than `NUM_AHEAD` or all there are; likewise.
        chunk_bytes: copied at once, at most. The file may read all chunks of a piece by one request.
        make_stream: tests pass another, which fails.
    """

    def __init__(
        self,
        kernels: Mapping[KernelSource, Kernel],
        staging: DeviceBuffer,
        host: HostMemory,
        *,
        chunk_bytes: int,
        make_stream: Callable[[], Stream] = Stream,
    ) -> None:
        self._kernels = kernels
        self._staging = staging
        self._host = host
        self._piece_bytes = staging.size_bytes // NUM_WAYS // ALIGNMENT_BYTES * ALIGNMENT_BYTES
        self._chunk_bytes = chunk_bytes
        self._make_stream = make_stream

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
        total_bytes = sum(tensor.size_bytes for tensor in tensors)
        num_done_bytes = 0
        on_progress(num_done_bytes, total_bytes)
        try:
            with ExitStack() as held:
                reads = held.enter_context(closing(file.background_reads()))
                slots = self._make_slots(reads, held)
                ways = [self._open_way(weights, i, held) for i in range(NUM_WAYS)]
                round_trip = RoundTrip(ways, reads, slots)
                for piece in round_trip.bring(pieces_of(tensors, self._piece_bytes)):
                    num_done_bytes += piece.size_bytes
                    on_progress(num_done_bytes, total_bytes)
        except DeviceError as error:
            raise ModelLoadFailed(f"{file.path}: upload failed: {error}") from error

    def _make_slots(self, reads: BackgroundReads, held: ExitStack) -> Sequence[Slot]:
        memory, piece_bytes = self._host.memory, self._piece_bytes
        return [
            Slot(
                reads.into(self._chunks_of(memory[start : start + piece_bytes])),
                chunk_pointers(self._host.address + start, piece_bytes, self._chunk_bytes),
                held.enter_context(closing(Event())),
            )
            for start in range(0, len(memory) - piece_bytes + 1, piece_bytes)
        ]

    def _chunks_of(self, memory: memoryview) -> Sequence[memoryview]:
        return [
            memory[start : start + self._chunk_bytes] for start in range(0, len(memory), self._chunk_bytes)
        ]

    def _open_way(self, weights: DeviceWeights, index: int, held: ExitStack) -> Way:
        stream = held.enter_context(closing(self._make_stream()))
        held.callback(_settle, stream)
        return Way(
            weights,
            self._kernels,
            stream,
            d_staging=self._staging.d_ptr + index * self._piece_bytes,
            piece_bytes=self._piece_bytes,
            chunk_bytes=self._chunk_bytes,
        )


def _settle(stream: Stream) -> None:
    """Wait for copies, which may still read what is freed next."""
    with suppress(DeviceError):
        stream.synchronize()
