"""Random tensors of every supported type, as stored bytes."""

import numpy as np
from gguf import GGMLQuantizationType
from gguf.quants import quantize
from numpy.typing import NDArray

from ports.tensor_types import TensorType

Bytes = NDArray[np.uint8]


def random_tensor(shape: tuple[int, ...], tensor_type: TensorType, rng: np.random.Generator) -> bytes:
    """Stored bytes of a tensor with mean 0 and variance of about 1 / columns, as trained matrices have."""
    spread = shape[-1] ** -0.5
    if tensor_type in _RANDOM_BLOCKS:
        num_blocks = int(np.prod(shape)) // tensor_type.block.num_elements
        blocks = rng.integers(0, 256, (num_blocks, tensor_type.block.size_bytes), dtype=np.uint8)
        _RANDOM_BLOCKS[tensor_type](blocks, spread)
        return blocks.tobytes()
    return stored(rng.standard_normal(shape) * spread, tensor_type)


def stored(values: NDArray[np.float64], tensor_type: TensorType) -> bytes:
    """Quantize `values` to `tensor_type`, which must be one that the gguf package can write."""
    return bytes(quantize(values.astype(np.float32), GGMLQuantizationType(tensor_type)).tobytes())


def _scale(blocks: Bytes, at: int, value: float) -> None:
    blocks[:, at : at + 2] = np.frombuffer(np.float16(value).tobytes(), dtype=np.uint8)


def _q4_k(blocks: Bytes, spread: float) -> None:
    _scale(blocks, 0, spread / 240)  # a scale of up to 63 times a code of up to 15
    _scale(blocks, 2, spread / 32)


def _q5_k(blocks: Bytes, spread: float) -> None:
    _scale(blocks, 0, spread / 480)
    _scale(blocks, 2, spread / 32)


def _q6_k(blocks: Bytes, spread: float) -> None:
    _scale(blocks, 208, spread / 1360)  # a signed scale of up to 127 times a code of up to 31


def _mxfp4(blocks: Bytes, spread: float) -> None:
    blocks[:, 0] = 127 + round(np.log2(spread / 3))


# Those the gguf package cannot quantize to, and MXFP4, where random codes reach every bit.
_RANDOM_BLOCKS = {
    TensorType.Q4_K: _q4_k,
    TensorType.Q5_K: _q5_k,
    TensorType.Q6_K: _q6_k,
    TensorType.MXFP4: _mxfp4,
}
