"""Stored blocks to float32."""

from collections.abc import Iterator

import numpy as np
from gguf import GGMLQuantizationType
from gguf.quants import dequantize
from numpy.typing import NDArray

from ports.model_file import ModelFile, TensorInfo


def stream_float32(
    file: ModelFile, tensor: TensorInfo, out: NDArray[np.float32], *, chunk_bytes: int
) -> Iterator[int]:
    """Fill `out` with the values of `tensor`, a bounded number of whole blocks at a time.

    Args:
        file: holds the tensor.
        tensor: of any supported type.
        out: [elements], contiguous.
        chunk_bytes: stored bytes to have in flight at most; one block at least.

    Yields:
        Stored bytes of each piece, after it has been written.

    Raises:
        ModelLoadFailed: the file has become shorter.
    """
    num_elements, block_bytes = tensor.type.block
    piece_bytes = max(chunk_bytes // block_bytes, 1) * block_bytes
    for offset in range(0, tensor.size_bytes, piece_bytes):
        size_bytes = min(piece_bytes, tensor.size_bytes - offset)
        stored = np.frombuffer(file.read(tensor, offset_bytes=offset, size_bytes=size_bytes), dtype=np.uint8)
        start = offset // block_bytes * num_elements
        stop = start + size_bytes // block_bytes * num_elements
        # One long row: gguf works through rows in groups of 16, which is slow where rows are short.
        out[start:stop] = dequantize(stored.reshape(1, -1), GGMLQuantizationType(tensor.type)).reshape(-1)
        del stored  # it pins the file's mapping
        yield size_bytes
