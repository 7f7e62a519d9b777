"""From a model file to `Weights`, a bounded piece at a time, every tensor once."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from backends.fake.dequantize import stream_float32
from backends.fake.weights import Array, Dense, LayerWeights, Norm, Weights
from domain.errors import ModelLoadFailed
from ports.compute_backend import OnProgress
from ports.model_description import Layer, Linear, ModelDescription, RmsNorm, Rope, RopePairing
from ports.model_file import ModelFile, TensorInfo


def load_weights(
    description: ModelDescription, file: ModelFile, *, chunk_bytes: int, on_progress: OnProgress
) -> Weights:
    """Read and dequantize everything `description` computes with.

    Raises:
        ModelLoadFailed: the file has become shorter, or its rope factors are no positive numbers.
    """
    return _Loader(description, file, chunk_bytes, on_progress).load()


class _Loader:
    def __init__(
        self, description: ModelDescription, file: ModelFile, chunk_bytes: int, on_progress: OnProgress
    ) -> None:
        self._description = description
        self._file = file
        self._chunk_bytes = chunk_bytes
        self._on_progress = on_progress
        self._num_done_bytes = 0
        self._num_total_bytes = sum(tensor.size_bytes for tensor in description.tensors)
        self._frequencies: dict[Rope, NDArray[np.float64]] = {}

    def load(self) -> Weights:
        description = self._description
        self._on_progress(0, self._num_total_bytes)
        embedding = self._matrix(description.embedding)
        layers = tuple(self._layer(layer) for layer in description.layers)
        output_norm = self._norm(description.output_norm)
        is_tied = description.output.weight == description.embedding
        output = Dense(embedding, None) if is_tied else self._stacked([description.output])
        return Weights(description, embedding, layers, output_norm, output)

    def _layer(self, layer: Layer) -> LayerWeights:
        attention, feed_forward = layer.attention, layer.feed_forward
        frequencies = self._rope_frequencies(attention.rope)
        query_key_value = self._stacked([attention.query, attention.key, attention.value])
        if attention.rope.pairing is RopePairing.HALF_SPLIT:
            num_rotated_heads = attention.num_heads + attention.num_kv_heads
            for array in (query_key_value.weight, query_key_value.bias):
                if array is not None:
                    _pair_up(array, num_rotated_heads, attention.head_dim, attention.rope.rotary_dim)
        return LayerWeights(
            shape=attention,
            frequencies=frequencies,
            attention_norm=self._norm(layer.attention_norm),
            query_key_value=query_key_value,
            attention_output=self._stacked([attention.output]),
            feed_forward_norm=self._norm(layer.feed_forward_norm),
            gate_up=self._stacked([feed_forward.gate, feed_forward.up]),
            down=self._stacked([feed_forward.down]),
        )

    def _stacked(self, linears: Sequence[Linear]) -> Dense:
        """Several matrices with one input, one above the other: one multiplication instead of many."""
        heights = [linear.weight.shape[0] for linear in linears]
        weight = np.empty((sum(heights), linears[0].weight.shape[1]), dtype=np.float32)
        has_bias = any(linear.bias is not None for linear in linears)
        bias = np.zeros(sum(heights), dtype=np.float32) if has_bias else None
        end = 0
        for linear, height in zip(linears, heights, strict=True):
            start, end = end, end + height
            self._fill(linear.weight, weight[start:end].reshape(-1))
            if bias is not None and linear.bias is not None:
                self._fill(linear.bias, bias[start:end])
        return Dense(weight, bias)

    def _matrix(self, tensor: TensorInfo) -> Array:
        array = np.empty(tensor.shape, dtype=np.float32)
        self._fill(tensor, array.reshape(-1))
        return array

    def _norm(self, norm: RmsNorm) -> Norm:
        return Norm(self._matrix(norm.weight), norm.eps)

    def _rope_frequencies(self, rope: Rope) -> NDArray[np.float64]:
        """theta^(-2i / rotary_dim), divided by the file's factors where it has some."""
        if rope not in self._frequencies:
            frequencies = rope.theta ** (-np.arange(0, rope.rotary_dim, 2) / rope.rotary_dim)
            if rope.frequency_factors is not None:
                frequencies = frequencies / self._positive(rope.frequency_factors)
            self._frequencies[rope] = frequencies
        return self._frequencies[rope]

    def _positive(self, tensor: TensorInfo) -> Array:
        factors = self._matrix(tensor)
        if not (np.isfinite(factors).all() and (factors > 0).all()):
            raise ModelLoadFailed(f"{self._file.path}: {tensor.name}: expected positive numbers only")
        return factors

    def _fill(self, tensor: TensorInfo, out: Array) -> None:
        for size_bytes in stream_float32(self._file, tensor, out, chunk_bytes=self._chunk_bytes):
            self._num_done_bytes += size_bytes
            self._on_progress(self._num_done_bytes, self._num_total_bytes)


def _pair_up(array: Array, num_heads: int, head_dim: int, rotary_dim: int) -> None:
    """Move row i + rotary_dim/2 of each head next to row i, in place.

    Turning neighbours is one complex multiplication. Queries and keys are rearranged alike, so the products
    between them, the only thing either is used for, stay the same.
    """
    half = rotary_dim // 2
    for start in range(0, num_heads * head_dim, head_dim):
        rows = array[start : start + rotary_dim]
        was = rows.copy()
        rows[0::2], rows[1::2] = was[:half], was[half:]
