"""Logits of a whole model on the device, position by position, through the calls that the backend makes."""

from collections.abc import Iterable
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from backends.cuda.arena import Arena
from backends.cuda.call import Call
from backends.cuda.decode_calls import DecodeCalls, KvPool, SequencePointers
from backends.cuda.host_memory import HostMemory
from backends.cuda.kernel_set import KernelSet
from backends.cuda.kv_pages import layer_offsets
from backends.cuda.loader import read_frequencies
from backends.cuda.prefill_attention import ChunkPointers
from backends.cuda.prefill_calls import PrefillCalls
from backends.cuda.scratch import lay_out
from backends.cuda.upload import WeightUploader, repack_sources
from backends.cuda.weights import DeviceWeights
from domain.architectures import describe
from domain.memory_plan import plan_memory
from ports.memory import MemoryClass
from ports.model_file import ModelFile
from tests.golden.oracle import nmse
from tests.kernels.gpu import Gpu

MAX_NMSE = 1e-3

_TOTAL_BYTES = 8 * 2**30
_CHUNK_TOKENS = 512


def agree(actual: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    """Close as a whole, and of one mind wherever the oracle's two best are further apart than the noise."""
    error = nmse(actual, expected)
    assert error < MAX_NMSE, error
    noise = 4 * np.sqrt(np.mean((actual - expected) ** 2, axis=1))
    best = np.sort(expected, axis=1)[:, -2:]
    is_clear = best[:, 1] - best[:, 0] > noise
    assert is_clear.mean() > 0.5
    np.testing.assert_array_equal(actual.argmax(axis=1)[is_clear], expected.argmax(axis=1)[is_clear])


class DeviceLogits:
    """One model and one sequence."""

    def __init__(self, gpu: Gpu, file: ModelFile) -> None:
        self._gpu = gpu
        self._file = file
        self.description = describe(file)
        self._kernels = KernelSet(gpu.compiler, gpu.context.properties)
        num_multiprocessors = gpu.context.properties.num_multiprocessors
        plan = plan_memory(
            self.description,
            free_bytes=_TOTAL_BYTES,
            gpu_device=0,
            path=file.path,
            prefill_chunk_tokens=_CHUNK_TOKENS,
        )
        weights = self._upload(plan.weights_bytes)
        scratch = lay_out(
            self.description,
            plan,
            Arena(self._zeros(plan.scratch_bytes), plan.scratch_bytes),
            num_multiprocessors=num_multiprocessors,
        )
        for rope, d_frequencies in scratch.decode.d_frequencies.items():
            self._write(d_frequencies, read_frequencies(rope, file))
        pages = np.random.default_rng(5).permutation(plan.num_kv_pages).astype(np.int32)
        self._d_page_table = gpu.upload(pages)
        pool = KvPool(gpu.empty(plan.kv_cache_bytes), plan.kv_page_bytes, layer_offsets(self.description))
        self._buffers = scratch.program
        self._d_token_and_position = gpu.empty(8)
        self._decode = DecodeCalls(
            self.description,
            weights=weights,
            buffers=scratch.decode,
            pool=pool,
            num_multiprocessors=num_multiprocessors,
        )
        self._prefill = PrefillCalls(
            self.description,
            weights=weights,
            buffers=scratch.prefill,
            pool=pool,
            num_multiprocessors=num_multiprocessors,
            max_shared_bytes=gpu.context.properties.max_shared_bytes,
        )
        self._num_tokens = 0

    def prefill(self, token_ids: list[int]) -> NDArray[np.float32]:
        """[T, V] of the next T positions, as one chunk."""
        positions = np.arange(self._num_tokens, self._num_tokens + len(token_ids), dtype=np.int32)
        d_num_tokens = self._buffers.d_chunk
        d_token_ids = d_num_tokens + 4
        d_positions = d_token_ids + positions.nbytes
        self._write(d_num_tokens, np.array([len(token_ids), *token_ids, *positions], dtype=np.int32))
        pointers = ChunkPointers(d_num_tokens, d_token_ids, d_positions, self._d_page_table)
        self._enqueue(self._prefill.chunk(pointers, len(token_ids)))
        self._num_tokens += len(token_ids)
        row_bytes = 4 * self.description.hidden_size
        return np.stack([self._head(self._buffers.d_chunk_x + i * row_bytes) for i in range(len(token_ids))])

    def decode(self, token_id: int) -> NDArray[np.float32]:
        """[V] of the next position."""
        self._write(self._d_token_and_position, np.array([token_id, self._num_tokens], dtype=np.int32))
        d_token = self._d_token_and_position
        self._enqueue(self._decode.step(SequencePointers(d_token, d_token + 4, self._d_page_table)))
        self._num_tokens += 1
        return self._logits()

    def _head(self, d_x: int) -> NDArray[np.float32]:
        self._enqueue([self._decode.head(d_x)])
        return self._logits()

    def _logits(self) -> NDArray[np.float32]:
        logits = self._gpu.download(self._buffers.d_logits, self.description.vocab_size, np.float32)
        self._gpu.fill(self._buffers.d_logits, 0xFF, logits.nbytes)
        return logits

    def _enqueue(self, calls: Iterable[Call]) -> None:
        made = list(calls)
        self._kernels.load(call.source for call in made)
        for call in made:
            self._kernels.bind(call).enqueue(self._gpu.stream)
        self._gpu.stream.synchronize()

    def _upload(self, weights_bytes: int) -> DeviceWeights:
        tensors = self.description.tensors
        weights = DeviceWeights(tensors, self._gpu.empty(weights_bytes))
        staging = self._gpu.memory.allocate(MemoryClass.SCRATCH, 2**22)
        self._kernels.load(repack_sources(tensors))
        with closing(HostMemory(2**25, self._gpu.context.enter)) as host:
            uploader = WeightUploader(self._kernels.kernels, staging, host, chunk_bytes=2**22)
            uploader.upload(self._file, tensors, weights, on_progress=lambda _done, _total: None)
        return weights

    def _zeros(self, size_bytes: int) -> int:
        d_ptr = self._gpu.empty(size_bytes)
        self._gpu.fill(d_ptr, 0, size_bytes)
        return d_ptr

    def _write(self, d_ptr: int, array: NDArray[np.int32] | NDArray[np.float64]) -> None:
        self._gpu.stream.copy_to_device_async(d_ptr, array.ctypes.data, array.nbytes)
        self._gpu.stream.synchronize()
