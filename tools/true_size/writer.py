"""Write a file of true size in seconds and in bounded memory.

The blocks of one type are all cut from one random ring of them, each tensor's from another place. The ring's
length is a prime above the rows of any tensor here, so no two rows of a tensor are equal.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ports.tensor_types import TensorType
from tools.gguf_export.layout import TensorEntry, encode_header, open_atomically, padding
from tools.true_size.metadata import metadata_of
from tools.true_size.model_shape import ModelShape
from tools.true_size.random_blocks import SPREAD, random_blocks
from tools.true_size.tensors import tensors_of

_RING_BLOCKS = 262_147
_LLAMA_3_ORIGINAL_CONTEXT, _LLAMA_3_LOW, _LLAMA_3_HIGH = 8192, 1.0, 4.0


def write_true_size(path: Path, shape: ModelShape, *, seed: int = 1) -> None:
    """Write the file, or leave what was at `path` untouched. Equal arguments make equal files.

    Raises:
        OSError: the file could not be written.
    """
    entries = tensors_of(shape)
    weights = _RandomWeights(shape, seed)
    with open_atomically(path) as file:
        file.write(encode_header(metadata_of(shape), entries))
        for number, entry in enumerate(entries):
            for data in weights.data_of(entry, number):
                file.write(data)
            file.write(padding(entry.size_bytes))


class _RandomWeights:
    def __init__(self, shape: ModelShape, seed: int) -> None:
        self._shape = shape
        self._seed = seed
        self._rings: dict[TensorType, memoryview] = {}

    def data_of(self, entry: TensorEntry, number: int) -> Iterator[memoryview]:
        """The stored bytes of a tensor, piece by piece; `number` is its place in the file."""
        rng = np.random.default_rng([self._seed, number])
        if entry.type is TensorType.F32:
            yield self._floats(entry, rng).astype("<f4").data
            return
        ring, left = self._ring(entry.type), entry.size_bytes
        start = int(rng.integers(_RING_BLOCKS)) * entry.type.block.size_bytes
        while left:
            piece = ring[start : start + left]
            yield piece
            start, left = 0, left - len(piece)

    def _ring(self, tensor_type: TensorType) -> memoryview:
        if tensor_type not in self._rings:
            rng = np.random.default_rng([self._seed, 1_000_000 + tensor_type])  # no tensor has that number
            self._rings[tensor_type] = random_blocks(tensor_type, _RING_BLOCKS, rng).reshape(-1).data
        return self._rings[tensor_type]

    def _floats(self, entry: TensorEntry, rng: np.random.Generator) -> NDArray[np.float64]:
        if entry.name == "rope_freqs.weight":
            return _llama_3_factors(self._shape)
        values = rng.standard_normal(entry.shape)
        if entry.name.endswith("norm.weight"):
            return 1 + 0.1 * values
        return values if entry.name.endswith("attn_sinks.weight") else SPREAD * values


def _llama_3_factors(shape: ModelShape) -> NDArray[np.float64]:
    """What each rope frequency is divided by. Source: Llama 3.1's published code, `apply_scaling`."""
    frequencies = shape.rope_theta ** (-np.arange(0, shape.head_dim, 2) / shape.head_dim)
    turns = _LLAMA_3_ORIGINAL_CONTEXT * frequencies / (2 * math.pi)
    smooth = np.clip((turns - _LLAMA_3_LOW) / (_LLAMA_3_HIGH - _LLAMA_3_LOW), 0, 1)
    factors: NDArray[np.float64] = 1 / ((1 - smooth) / (shape.rope_scaling_factor or 1.0) + smooth)
    return factors
