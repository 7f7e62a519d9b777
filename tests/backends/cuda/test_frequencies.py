"""How fast each pair of a head turns on the device, with the factors that Llama 3 files carry."""

import numpy as np
import pytest

from backends.cuda.loader import read_frequencies
from domain.errors import ModelLoadFailed
from ports.model_description import Rope, RopePairing
from ports.model_file import TensorInfo
from ports.tensor_types import TensorType
from tests.models.memory_file import MemoryModelFile

pytestmark = pytest.mark.req("M0-W-1430")

PLAIN = [1.0, 0.1, 0.01, 0.001]  # theta^(-2i / 8)


def frequencies_with(factors: np.ndarray, tensor_type: TensorType) -> list[float]:
    tensor = TensorInfo("rope_freqs.weight", (4,), tensor_type, 0, factors.nbytes)
    rope = Rope(RopePairing.ADJACENT, rotary_dim=8, theta=10_000.0, frequency_factors=tensor)
    return list(read_frequencies(rope, MemoryModelFile(data=factors.tobytes())))


@pytest.mark.parametrize("tensor_type", [TensorType.F32, TensorType.F16])
def test_factors_of_either_type_divide(tensor_type: TensorType) -> None:
    dtype = np.float32 if tensor_type is TensorType.F32 else np.float16

    assert pytest.approx([1.0, 0.05, 0.0025, 0.000125]) == frequencies_with(
        np.array([1, 2, 4, 8], dtype), tensor_type
    )


def test_without_factors_they_are_the_powers_of_theta() -> None:
    rope = Rope(RopePairing.ADJACENT, rotary_dim=8, theta=10_000.0)

    assert pytest.approx(PLAIN) == list(read_frequencies(rope, MemoryModelFile()))


@pytest.mark.parametrize("bad", [0.0, -1.0, np.inf, np.nan])
def test_a_factor_that_is_no_positive_number_is_refused_with_the_tensors_name(bad: float) -> None:
    with pytest.raises(ModelLoadFailed, match=r"rope_freqs\.weight: expected positive numbers"):
        frequencies_with(np.array([1, 1, bad, 1], np.float32), TensorType.F32)
