"""Stored tensors as float32 arrays, with the progress of reading them."""

from collections.abc import Sequence

import numpy as np

from backends.fake.dense import Array, Dense
from backends.fake.dequantize import stream_float32
from ports.compute_backend import OnProgress
from ports.model_description import ExpertLinear, Linear
from ports.model_file import ModelFile, TensorInfo


class TensorReader:
    """Reads tensors of one file a bounded piece at a time.

    Args:
        file: holds the tensors.
        total_bytes: stored bytes of all that will be read.
        chunk_bytes: see `stream_float32`.
        on_progress: told after every piece.
    """

    def __init__(
        self, file: ModelFile, *, total_bytes: int, chunk_bytes: int, on_progress: OnProgress
    ) -> None:
        self._file = file
        self._total_bytes = total_bytes
        self._chunk_bytes = chunk_bytes
        self._on_progress = on_progress
        self._num_done_bytes = 0
        on_progress(0, total_bytes)

    def matrix(self, tensor: TensorInfo) -> Array:
        """All of a tensor, of any number of dimensions."""
        array = np.empty(tensor.shape, dtype=np.float32)
        self._fill(tensor, array.reshape(-1))
        return array

    def stacked(self, linears: Sequence[Linear]) -> Dense:
        """Several matrices with one input, one above the other: one multiplication instead of many."""
        num_rows, num_columns = sum(len(linear.rows) for linear in linears), linears[0].weight.shape[1]
        weight = np.empty((num_rows, num_columns), dtype=np.float32)
        has_bias = any(linear.bias is not None for linear in linears)
        bias = np.zeros(num_rows, dtype=np.float32) if has_bias else None
        end = 0
        for linear in linears:
            start, end = end, end + len(linear.rows)
            self._fill(linear.weight, weight[start:end].reshape(-1), start=linear.rows.start * num_columns)
            if bias is not None and linear.bias is not None:
                self._fill(linear.bias, bias[start:end], start=linear.rows.start)
        return Dense(weight, bias)

    def stacked_of_expert(self, linears: Sequence[ExpertLinear], expert: int) -> Dense:
        """One expert's matrices with one input, one above the other."""
        _, height, num_columns = linears[0].weight.shape
        weight = np.empty((len(linears), height, num_columns), dtype=np.float32)
        bias = np.empty((len(linears), height), dtype=np.float32)
        for linear, rows, row_biases in zip(linears, weight, bias, strict=True):
            self._fill(linear.weight, rows.reshape(-1), start=expert * rows.size)
            self._fill(linear.bias, row_biases, start=expert * height)
        return Dense(weight.reshape(-1, num_columns), bias.reshape(-1))

    def _fill(self, tensor: TensorInfo, out: Array, *, start: int = 0) -> None:
        pieces = stream_float32(self._file, tensor, out, chunk_bytes=self._chunk_bytes, start=start)
        for size_bytes in pieces:
            self._num_done_bytes += size_bytes
            self._on_progress(self._num_done_bytes, self._total_bytes)
