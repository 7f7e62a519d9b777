"""Whole chunks of every architecture: against the stand-in, and however a prompt is cut."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import prod

import numpy as np
import pytest
from numpy.typing import NDArray

from backends.cuda.decode_calls import KvPool
from backends.cuda.kv_pages import layer_offsets
from backends.cuda.packed import PackedMatrix, packed_matrix
from backends.cuda.prefill_attention import ChunkPointers
from backends.cuda.prefill_buffers import PrefillBuffers, prefill_sizes
from backends.cuda.prefill_calls import PrefillCalls, chunk_sizes
from backends.fake.forward import forward
from backends.fake.kv_cache import KvCache
from backends.fake.weight_loader import load_weights
from domain.architectures import describe
from domain.architectures.rope_frequencies import rope_frequencies
from domain.memory_plan import PAGE_TOKENS
from ports.model_description import ModelDescription, Rope
from ports.model_file import TensorInfo
from ports.tensor_types import TensorType
from tests.backends.cuda.packed_reference import pack
from tests.kernels.device_weights import nmse, run
from tests.kernels.gpu import Gpu
from tests.kernels.prefill_rows import is_poison, upload_count
from tests.models.memory_file import MemoryModelFile
from tests.models.tiny import TinyShape, tiny_model

pytestmark = [pytest.mark.gpu, pytest.mark.req("M0-W-1430", "M0-W-1431", "M0-W-1214", "M0-W-1031")]

BAR = 1e-4  # of bfloat16 activations through two layers; a wrong formula is off by 1e-3 and more
TOKEN_IDS = [int(i) for i in np.random.default_rng(3).integers(0, 96, 90)]
CUTS = [0, 1, 2, 17, 50, 90]
MOST_TOKENS = 128
SHAPES = {
    "llama": TinyShape("llama", rotary_dim=8),
    "qwen2": TinyShape("qwen2", matrix_type=TensorType.Q5_0, is_tied=True),
    "qwen3": TinyShape("qwen3", head_dim=24),
    "phi3": TinyShape("phi3", window=5),
    "phi3 Q4_K": TinyShape(
        "phi3", matrix_type=TensorType.Q4_K, hidden_size=256, head_dim=64, intermediate_size=256
    ),
    "gpt2": TinyShape("gpt2", num_kv_heads=4, matrix_type=TensorType.F16),
    "gpt-oss": TinyShape("gpt-oss", matrix_type=TensorType.Q8_0, seed=3),  # no router in two minds
}


class _FileWeights:
    """Implements `matvec_calls.Weights`: the tensors of a file."""

    def __init__(self, gpu: Gpu, file: MemoryModelFile, tensors: Sequence[TensorInfo]) -> None:
        self._d_tensors = {tensor.name: gpu.upload(_packed(file, tensor)) for tensor in tensors}

    def matrix(self, tensor: TensorInfo, *, first_row: int = 0) -> PackedMatrix:
        rows, cols = _size(tensor)
        return packed_matrix(
            self._d_tensors[tensor.name], tensor.type, rows=rows, cols=cols, first_row=first_row
        )

    def address(self, tensor: TensorInfo, *, first_element: int = 0) -> int:
        return self._d_tensors[tensor.name] + first_element * tensor.type.block.size_bytes


class PrefilledModel:
    """A tiny model on the device, and one sequence."""

    def __init__(self, gpu: Gpu, file: MemoryModelFile) -> None:
        self._gpu = gpu
        self._description = description = describe(file)
        self._weights = _FileWeights(gpu, file, description.tensors)
        self._page_bytes = description.kv_bytes_per_token * PAGE_TOKENS
        num_pages = -(-len(TOKEN_IDS) // PAGE_TOKENS)
        self._pool_bytes = num_pages * self._page_bytes
        self._pool = KvPool(gpu.empty(self._pool_bytes), self._page_bytes, layer_offsets(description))
        table = np.random.default_rng(1).permutation(num_pages).astype(np.int32)
        self._d_page_table = gpu.upload(table)
        self._d_frequencies = _frequencies(gpu, file, description)

    def prefill(self, cuts: Sequence[int]) -> tuple[NDArray[np.float32], NDArray[np.float16]]:
        """Hidden states [P, H] after the last layer, and all pages."""
        self._gpu.fill(self._pool.d_pool, 0, self._pool_bytes)
        hidden = [self._prefill_chunk(start, TOKEN_IDS[start:stop]) for start, stop in pairwise(cuts)]
        pages = self._gpu.download(self._pool.d_pool, self._pool_bytes // 2, np.float16)
        return np.concatenate(hidden), pages

    def _prefill_chunk(self, start: int, token_ids: Sequence[int]) -> NDArray[np.float32]:
        """By the launches of the next larger size."""
        gpu, num_tokens = self._gpu, len(token_ids)
        most_tokens = next(size for size in chunk_sizes(MOST_TOKENS) if size >= num_tokens)
        sizes = prefill_sizes(self._description, most_tokens)
        d_buffers = {name: gpu.empty(size_bytes) for name, size_bytes in sizes.items()}
        buffers = PrefillBuffers(num_tokens=most_tokens, d_frequencies=self._d_frequencies, **d_buffers)
        calls = PrefillCalls(
            self._description,
            weights=self._weights,
            buffers=buffers,
            pool=self._pool,
            num_multiprocessors=132,
            max_shared_bytes=gpu.context.properties.max_shared_bytes,
        )
        positions = np.arange(start, start + num_tokens, dtype=np.int32)
        pointers = ChunkPointers(
            upload_count(gpu, num_tokens),
            gpu.upload(np.array(token_ids, np.int32)),
            gpu.upload(positions),
            self._d_page_table,
        )
        for call in calls.chunk(pointers, most_tokens):
            run(gpu, call)
        hidden = gpu.download(buffers.d_x, (most_tokens, self._description.hidden_size), np.float32)
        assert is_poison(hidden[num_tokens:])
        return hidden[:num_tokens]


def _size(tensor: TensorInfo) -> tuple[int, int]:
    return prod(tensor.shape[:-1]), tensor.shape[-1]


def _packed(file: MemoryModelFile, tensor: TensorInfo) -> NDArray[np.uint8]:
    rows, cols = _size(tensor)
    stored = bytes(file.read(tensor, offset_bytes=0, size_bytes=tensor.size_bytes))
    return np.frombuffer(pack(tensor.type, stored, rows=rows, cols=cols), np.uint8)


def _frequencies(gpu: Gpu, file: MemoryModelFile, description: ModelDescription) -> Mapping[Rope, int]:
    d_frequencies = {}
    for layer in description.layers:
        if (rope := layer.attention.rope) is None:
            continue
        frequencies = rope_frequencies(rope)
        if (factors := rope.frequency_factors) is not None:
            stored = file.read(factors, offset_bytes=0, size_bytes=factors.size_bytes)
            frequencies = frequencies / np.frombuffer(stored, np.float32)
        d_frequencies[rope] = gpu.upload(frequencies)
    return d_frequencies


def expected_hidden(file: MemoryModelFile) -> NDArray[np.float64]:
    weights = load_weights(describe(file), file, chunk_bytes=4096, on_progress=lambda _done, _total: None)
    return forward(weights, TOKEN_IDS, KvCache(weights.description.layers)).astype(np.float64)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_prompt_gives_the_same_however_it_is_cut(gpu: Gpu, shape: TinyShape) -> None:
    file = tiny_model(shape)
    model = PrefilledModel(gpu, file)
    whole, pages = model.prefill([0, len(TOKEN_IDS)])
    cut, pages_of_cut = model.prefill(CUTS)

    assert nmse(whole, expected_hidden(file)) <= BAR
    np.testing.assert_array_equal(whole, cut)
    np.testing.assert_array_equal(pages, pages_of_cut)
