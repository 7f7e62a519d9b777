"""Rows of activations as the prefill kernels keep them: bfloat16, zero up to a multiple of 64 columns."""

import numpy as np

from backends.cuda.prefill_matmul import padded
from tests.kernels.device_weights import Doubles
from tests.kernels.gpu import POISON, Gpu


def upload_rows(gpu: Gpu, x: Doubles) -> tuple[int, Doubles]:
    """Rows on the device, and what is left of them after rounding."""
    num_rows, num_columns = x.shape
    bits = np.zeros((num_rows, padded(num_columns)), np.uint16)
    bits[:, :num_columns] = _rounded(x)
    return gpu.upload(bits), _values(bits[:, :num_columns])


def empty_rows(gpu: Gpu, num_rows: int, num_columns: int) -> int:
    """A device pointer to rows of poison."""
    return gpu.empty(2 * num_rows * padded(num_columns))


def poison_rows(gpu: Gpu, d_rows: int, num_rows: int, num_columns: int) -> None:
    gpu.fill(d_rows, POISON, 2 * num_rows * padded(num_columns))


def download_rows(gpu: Gpu, d_rows: int, num_rows: int, num_columns: int) -> Doubles:
    """The columns that count; the others must be zero."""
    bits = gpu.download(d_rows, (num_rows, padded(num_columns)), np.uint16)
    assert not bits[:, num_columns:].any()
    return _values(bits[:, :num_columns])


def _rounded(x: Doubles) -> np.ndarray[tuple[int, ...], np.dtype[np.uint16]]:
    """To nearest even."""
    bits = x.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def _values(bits: np.ndarray[tuple[int, ...], np.dtype[np.uint16]]) -> Doubles:
    return (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
