"""Stored blocks to float32."""

from collections.abc import Iterator

import numpy as np
from gguf import GGMLQuantizationType
from gguf.quants import dequantize
from numpy.typing import NDArray

from ports.model_file import ModelFile, TensorInfo


def stream_float32(
    file: ModelFile, tensor: TensorInfo, out: NDArray[np.float32], *, chunk_bytes: int, start: int = 0
) -> Iterator[int]:
    """Fill `out` with values of `tensor`, a bounded number of whole blocks at a time.

    Args:
        file: holds the tensor.
        tensor: of any supported type.
        out: [elements], contiguous; whole blocks.
        chunk_bytes: stored bytes to have in flight at most; one block at least.
        start: the element of the tensor to begin with; the first of a block.

    Yields:
        Stored bytes of each piece, after it has been written.

    Raises:
        ModelLoadFailed: the file has become shorter.
    """
    num_elements, block_bytes = tensor.type.block
    piece_bytes = max(chunk_bytes // block_bytes, 1) * block_bytes
    first_byte = start // num_elements * block_bytes
    total_bytes = out.size // num_elements * block_bytes
    for offset in range(0, total_bytes, piece_bytes):
        size_bytes = min(piece_bytes, total_bytes - offset)
        piece = file.read(tensor, offset_bytes=first_byte + offset, size_bytes=size_bytes)
        stored = np.frombuffer(piece, dtype=np.uint8)
        begin = offset // block_bytes * num_elements
        end = begin + size_bytes // block_bytes * num_elements
        # One long row: gguf works through rows in groups of 16, which is slow where rows are short.
        out[begin:end] = dequantize(stored.reshape(1, -1), GGMLQuantizationType(tensor.type)).reshape(-1)
        del piece, stored  # they pin the file's mapping
        yield size_bytes
