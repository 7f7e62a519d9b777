"""Tensors in pieces for their way to the device."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ports.model_file import TensorInfo


class Piece(NamedTuple):  # quick to make, for there are thousands
    """Some of a tensor's bytes, whole blocks."""

    tensor: TensorInfo
    offset_bytes: int
    size_bytes: int


def pieces_of(tensors: Iterable[TensorInfo], most_bytes: int) -> Iterator[Piece]:
    """All of `tensors`, each in equal parts, in the order of the file, which a disk reads fastest."""
    for tensor in sorted(tensors, key=lambda tensor: tensor.offset_bytes):
        block_bytes = tensor.type.block.size_bytes
        num_blocks, most_blocks = tensor.size_bytes // block_bytes, most_bytes // block_bytes
        num_pieces = -(-num_blocks // most_blocks)
        piece_bytes = -(-num_blocks // num_pieces) * block_bytes
        for offset_bytes in range(0, tensor.size_bytes, piece_bytes):
            yield Piece(tensor, offset_bytes, min(piece_bytes, tensor.size_bytes - offset_bytes))
