"""Rows of activations as the prefill kernels keep them: bfloat16 in panels, as panels.cuh describes them."""

import numpy as np
from numpy.typing import NDArray

from backends.cuda.panels import padded, panels, panels_bytes
from backends.cuda.prefill_args import PanelsArgs
from tests.kernels.device_weights import Doubles
from tests.kernels.gpu import POISON, Gpu

Bits = NDArray[np.uint16]
Indices = NDArray[np.int64]

# The columns of a group of 128 in the order in which they are stored. A column is its block of 32, half of
# that, word of four columns, pair of the word, and place in the pair. A product takes one word of every
# block, of both halves in turn: of all blocks the first pair, then the second.
_ORDER = np.arange(128).reshape(4, 2, 4, 2, 2).transpose(2, 1, 3, 0, 4).ravel()


def upload_count(gpu: Gpu, count: int) -> int:
    """A device pointer to how many tokens there are."""
    return gpu.upload(np.array([count], np.int32))


def upload_rows(
    gpu: Gpu, x: Doubles, *, num_spare: int = 0, places: Indices | None = None
) -> tuple[PanelsArgs, Doubles]:
    """Rows on the device, and what is left of them after rounding. The rest of the room is poison.

    Args:
        gpu: where.
        x: the rows.
        num_spare: how much room there is after them.
        places: of each row; one after another unless given.
    """
    num_columns = x.shape[1]
    places = np.arange(len(x)) if places is None else places
    rows = empty_rows(gpu, int(places.max()) + 1 + num_spare, num_columns)
    bits = np.full((rows.rows, padded(num_columns)), 0xFFFF, np.uint16)
    bits[places, num_columns:] = 0
    bits[places, :num_columns] = rounded = _rounded(x)
    stored = _swapped(bits.reshape(-1, 128)[:, _ORDER].reshape(len(bits), -1, 8, 8))
    rows.d_data = gpu.upload(stored.swapaxes(0, 1))
    return rows, _values(rounded)


def empty_rows(gpu: Gpu, num_rows: int, num_columns: int) -> PanelsArgs:
    """Room for rows, poison all of it."""
    d_data = gpu.empty(panels_bytes(num_rows=num_rows, num_columns=num_columns))
    return panels(d_data, num_rows=num_rows, num_columns=num_columns)


def poison_rows(gpu: Gpu, rows: PanelsArgs) -> None:
    size_bytes = panels_bytes(num_rows=rows.rows, num_columns=rows.num_columns)
    gpu.fill(rows.d_data, POISON, size_bytes)


def download_rows(gpu: Gpu, rows: PanelsArgs, places: int | Indices) -> Doubles:
    """Rows at places, or the first few: the columns that count.

    The other columns must be zero, and the rest of the room as it was: poison.
    """
    places = np.arange(places) if isinstance(places, int) else places
    stored = gpu.download(rows.d_data, (padded(rows.num_columns) // 64, rows.rows, 8, 8), np.uint16)
    bits = np.empty((rows.rows * padded(rows.num_columns) // 128, 128), np.uint16)
    bits[:, _ORDER] = _swapped(stored.swapaxes(0, 1)).reshape(-1, 128)
    bits = bits.reshape(rows.rows, -1)
    assert is_poison(np.delete(bits, places, axis=0))
    assert not bits[places, rows.num_columns :].any()
    return _values(bits[places, : rows.num_columns])


def is_poison(array: NDArray[np.generic]) -> bool:
    """Whether nobody has written to any of it: one that adds would leave another NaN."""
    return bool((np.ascontiguousarray(array).view(np.uint8) == POISON).all())


def _swapped(rows: Bits) -> Bits:
    """[rows, panels, 8 chunks, 8] with each chunk where it is stored, or back: `chunk ^ (row % 8)`."""
    places = np.arange(8) ^ np.arange(len(rows))[:, None] % 8
    return np.take_along_axis(rows, places[:, None, :, None], axis=2)


def _rounded(x: Doubles) -> Bits:
    """To nearest even."""
    bits = x.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def _values(bits: Bits) -> Doubles:
    return (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
