"""Random stored blocks that mean small, finite weights: mean near 0, standard deviation near 0.02."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ports.tensor_types import TensorType

Bytes = NDArray[np.uint8]

SPREAD = 0.02  # standard deviation of the weights, as trained matrices have
# What d multiplies: standard deviation of a random code times its random integer scale, where there is one.
_CODE_SPREADS = {
    TensorType.Q4_0: 4.61,
    TensorType.Q5_0: 9.23,
    TensorType.Q8_0: 73.9,
    TensorType.Q4_K: 258.0,
    TensorType.Q5_K: 527.0,
    TensorType.Q6_K: 1366.0,
}
_SCALE_AT = {TensorType.Q6_K: 208}  # the scale d of other types comes first
# dmin over d, so that the weights' mean is 0: of random scales and minima alike, the middle code
_MIDDLE_CODES = {TensorType.Q4_K: 7.5, TensorType.Q5_K: 15.5}


def random_blocks(tensor_type: TensorType, count: int, rng: np.random.Generator) -> Bytes:
    """[count, block bytes] blocks of a quantized type.

    Raises:
        KeyError: no file here has that type.
    """
    blocks = np.frombuffer(rng.bytes(count * tensor_type.block.size_bytes), np.uint8)
    blocks = blocks.reshape(count, -1).copy()  # bytes are read-only
    set_scales = _set_exponents if tensor_type is TensorType.MXFP4 else _scale_setter(tensor_type)
    set_scales(blocks, rng)
    return blocks


def _scale_setter(tensor_type: TensorType) -> Callable[[Bytes, np.random.Generator], None]:
    scale, at = SPREAD / _CODE_SPREADS[tensor_type], _SCALE_AT.get(tensor_type, 0)

    def set_scales(blocks: Bytes, rng: np.random.Generator) -> None:
        scales = scale * rng.uniform(0.5, 1.5, len(blocks))
        _put_halves(blocks, at, scales)
        if tensor_type in _MIDDLE_CODES:
            _put_halves(blocks, at + 2, _MIDDLE_CODES[tensor_type] * scales)

    return set_scales


def _set_exponents(blocks: Bytes, rng: np.random.Generator) -> None:
    blocks[:, 0] = rng.integers(119, 121, len(blocks))  # 2^-8 or 2^-7, times codes of spread 2.9


def _put_halves(blocks: Bytes, at: int, values: NDArray[np.float64]) -> None:
    blocks[:, at : at + 2] = values.astype("<f2").view(np.uint8).reshape(-1, 2)
