"""A model onto the device: memory, kernels, the launches over them, and the weights last."""

from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from backends.cuda.arena import Arena
from backends.cuda.catalogue import kernels_of
from backends.cuda.context import Context
from backends.cuda.decode_args import MOST_ROTATIONS
from backends.cuda.decode_buffers import ropes_of
from backends.cuda.decode_calls import DecodeCalls, KvPool
from backends.cuda.host_memory import HostMemory
from backends.cuda.kernel_set import KernelSet
from backends.cuda.kv_pages import layer_offsets
from backends.cuda.matvec_calls import Weights
from backends.cuda.memory import DeviceMemory
from backends.cuda.model_program import ModelProgram
from backends.cuda.prefill_calls import PrefillCalls
from backends.cuda.scratch import Scratch, lay_out, slot_sizes
from backends.cuda.stream import Stream
from backends.cuda.upload import NUM_WAYS, WeightUploader, host_bytes, largest_piece_bytes
from backends.cuda.weights import DeviceWeights
from domain.architectures.rope_frequencies import rope_frequencies
from domain.errors import ModelLoadFailed
from ports.compute_backend import OnProgress
from ports.memory import MemoryClass, MemoryPlan
from ports.model_description import ModelDescription, Rope
from ports.model_file import ModelFile
from ports.tensor_types import TensorType


class ModelLoader:
    """Loads one model.

    Args:
        context: of the device.
        memory: everything is taken from it.
        kernels: where the model's are compiled and loaded.
        stream: where the model will run.
    """

    def __init__(self, context: Context, memory: DeviceMemory, kernels: KernelSet, stream: Stream) -> None:
        self._enter_context = context.enter
        self._memory = memory
        self._kernels = kernels
        self._stream = stream
        self._num_multiprocessors = context.properties.num_multiprocessors
        self._max_shared_bytes = context.properties.max_shared_bytes

    def load(
        self,
        description: ModelDescription,
        file: ModelFile,
        plan: MemoryPlan,
        *,
        chunk_bytes: int,
        on_progress: OnProgress,
    ) -> ModelProgram:
        """Take what `plan` says, prepare the launches, bring the weights up.

        In this order, for host memory to copy from is locked meanwhile.

        Raises:
            VramExhausted: an allocation failed. What was taken stays so, for the caller to free.
            ModelLoadFailed: the file cannot be brought up, or not be computed here.
            DeviceError: a kernel could not be compiled or launched, or there is no host memory to copy from.
        """
        _check(description, file)
        with closing(HostMemory(host_bytes(description.tensors), self._enter_context)) as host:
            weights = DeviceWeights(
                description.tensors, self._memory.allocate(MemoryClass.WEIGHTS, plan.weights_bytes).d_ptr
            )
            pool = self._allocate_pool(description, plan)
            scratch = self._lay_out_scratch(description, plan)
            decode, prefill = self._calls(description, weights, scratch, pool)
            self._kernels.load(
                kernels_of(
                    description,
                    chunk_tokens=plan.prefill_chunk_tokens,
                    num_multiprocessors=self._num_multiprocessors,
                    max_shared_bytes=self._max_shared_bytes,
                )
            )
            program = ModelProgram(
                decode=decode,
                prefill=prefill,
                buffers=scratch.program,
                kernels=self._kernels,
                stream=self._stream,
                first_slot=scratch.first_slot,
                slot_sizes=slot_sizes(description, plan),
                memory=self._memory,
                hidden_size=description.hidden_size,
                chunk_tokens=plan.prefill_chunk_tokens,
                num_multiprocessors=self._num_multiprocessors,
            )
            try:
                self._upload(
                    description, file, weights, host, chunk_bytes=chunk_bytes, on_progress=on_progress
                )
                self._write_frequencies(file, scratch)
            except BaseException:
                program.close()
                raise
        return program

    def _allocate_pool(self, description: ModelDescription, plan: MemoryPlan) -> KvPool:
        buffer = self._memory.allocate(MemoryClass.KV_CACHE, plan.kv_cache_bytes)
        self._stream.memset_async(buffer.d_ptr, 0, buffer.size_bytes)
        return KvPool(buffer.d_ptr, plan.kv_page_bytes, layer_offsets(description))

    def _lay_out_scratch(self, description: ModelDescription, plan: MemoryPlan) -> Scratch:
        buffer = self._memory.allocate(MemoryClass.SCRATCH, plan.scratch_bytes)
        self._stream.memset_async(buffer.d_ptr, 0, buffer.size_bytes)
        arena = Arena(buffer.d_ptr, buffer.size_bytes)
        return lay_out(description, plan, arena, num_multiprocessors=self._num_multiprocessors)

    def _calls(
        self, description: ModelDescription, weights: Weights, scratch: Scratch, pool: KvPool
    ) -> tuple[DecodeCalls, PrefillCalls]:
        return (
            DecodeCalls(
                description,
                weights=weights,
                buffers=scratch.decode,
                pool=pool,
                num_multiprocessors=self._num_multiprocessors,
            ),
            PrefillCalls(
                description,
                weights=weights,
                buffers=scratch.prefill,
                pool=pool,
                num_multiprocessors=self._num_multiprocessors,
                max_shared_bytes=self._max_shared_bytes,
            ),
        )

    def _upload(
        self,
        description: ModelDescription,
        file: ModelFile,
        weights: DeviceWeights,
        host: HostMemory,
        *,
        chunk_bytes: int,
        on_progress: OnProgress,
    ) -> None:
        staging = self._memory.allocate(
            MemoryClass.SCRATCH, NUM_WAYS * largest_piece_bytes(description.tensors)
        )
        try:
            uploader = WeightUploader(self._kernels.kernels, staging, host, chunk_bytes=chunk_bytes)
            uploader.upload(file, description.tensors, weights, on_progress=on_progress)
        finally:
            self._memory.free(staging)

    def _write_frequencies(self, file: ModelFile, scratch: Scratch) -> None:
        for rope, d_frequencies in scratch.decode.d_frequencies.items():
            frequencies = read_frequencies(rope, file)
            self._stream.copy_to_device_async(d_frequencies, frequencies.ctypes.data, frequencies.nbytes)
        self._stream.synchronize()


def _check(description: ModelDescription, file: ModelFile) -> None:
    """What `describe` accepts and these kernels cannot compute."""
    num_ropes = len(ropes_of(description))
    if num_ropes > MOST_ROTATIONS:
        raise ModelLoadFailed(
            f"{file.path}: {num_ropes} kinds of rotation; the CUDA backend takes {MOST_ROTATIONS}"
        )
    for layer in description.layers:
        head_dim = layer.attention.head_dim
        if head_dim % 8 or head_dim > 256:
            raise ModelLoadFailed(
                f"{file.path}: heads of {head_dim} elements; the CUDA backend takes multiples of 8 up to 256"
            )


def read_frequencies(rope: Rope, file: ModelFile) -> NDArray[np.float64]:
    """[rotary_dim/2] radians per position, divided by the file's factors where it has some.

    Raises:
        ModelLoadFailed: a factor is no positive number.
    """
    factors = rope.frequency_factors
    frequencies = rope_frequencies(rope)
    if factors is None:
        return frequencies
    stored = file.read(factors, offset_bytes=0, size_bytes=factors.size_bytes)
    stored_type = "<f4" if factors.type is TensorType.F32 else "<f2"  # `describe` takes no other
    divisors = np.frombuffer(stored, dtype=stored_type).astype(np.float64)
    if not (np.isfinite(divisors).all() and (divisors > 0).all()):
        raise ModelLoadFailed(f"{file.path}: {factors.name}: expected positive numbers only")
    return frequencies / divisors
