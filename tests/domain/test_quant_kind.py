"""The one word for a file's quantization."""

import pytest

from domain.quant_kind import quant_kind
from ports.model_file import TensorInfo
from ports.tensor_types import TensorType as T

pytestmark = pytest.mark.req("M0-W-1201")


def tensors(*types: T) -> list[TensorInfo]:
    return [TensorInfo(f"t{i}", (256,), tensor_type, 0, 1000 - i) for i, tensor_type in enumerate(types)]


@pytest.mark.parametrize(
    ("file_type", "types", "expected"),
    [
        (15, (T.F32, T.Q8_0, T.MXFP4, T.Q4_K), "MXFP4"),
        (15, (T.F32, T.Q5_0, T.Q8_0), "Q4_K_M"),
        (14, (T.F32, T.Q4_K, T.Q6_K), "Q4_K_M"),
        (None, (T.Q4_K, T.Q4_0), "Q4_K_M"),
        (2, (T.F32, T.Q4_0, T.Q6_K), "Q4_0"),
        (7, (T.F32, T.Q8_0), "Q8_0"),
        (17, (T.Q5_K, T.Q6_K), "Q5_K_M"),
        (1, (T.F32, T.F16), "F16"),
        (0, (T.F32,), "F32"),
        (32, (T.BF16, T.F32), "BF16"),
        (None, (T.Q8_0, T.F32), "Q8_0"),
        (999, (T.BF16, T.F32), "BF16"),
    ],
)
def test_the_first_rule_that_holds_names_the_kind(
    file_type: int | None, types: tuple[T, ...], expected: str
) -> None:
    assert expected == quant_kind(file_type, tensors(*types))
