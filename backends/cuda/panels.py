"""Activations of many tokens, in panels: see kernels/panels.cuh."""

from backends.cuda.prefill_args import PanelsArgs

_GROUP = 128  # columns, up to a multiple of which there are zeros
_ROWS = 128  # of the largest tile, which is read whole
_ELEMENT_BYTES = 2


def panels(d_data: int, *, num_rows: int, num_columns: int) -> PanelsArgs:
    """Panels with room for `num_rows`."""
    return PanelsArgs(d_data, _rounded(num_rows, _ROWS), num_columns)


def panels_bytes(*, num_rows: int, num_columns: int) -> int:
    """Of panels with room for `num_rows`."""
    return _ELEMENT_BYTES * _rounded(num_rows, _ROWS) * padded(num_columns)


def padded(num_columns: int) -> int:
    """With the zeros."""
    return _rounded(num_columns, _GROUP)


def _rounded(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple
