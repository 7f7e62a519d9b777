"""One word for how a file is quantized. For people and /health; backends look at each tensor's own type."""

from collections import Counter
from collections.abc import Iterable

from ports.model_file import TensorInfo
from ports.tensor_types import TensorType

_Q4_K_M_FILE_TYPE = 15

# Source: llama.h `enum llama_ftype`, those whose tensors can all be read here.
_FILE_TYPE_NAMES = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    7: "Q8_0",
    8: "Q5_0",
    9: "Q5_1",
    14: "Q4_K_S",
    _Q4_K_M_FILE_TYPE: "Q4_K_M",
    16: "Q5_K_S",
    17: "Q5_K_M",
    18: "Q6_K",
    32: "BF16",
    38: "MXFP4",
}


def quant_kind(file_type: int | None, tensors: Iterable[TensorInfo]) -> str:
    """Name the format actually stored, by the first rule that holds.

    Any MXFP4 tensor: `MXFP4`. File type 15 or any Q4_K tensor: `Q4_K_M`. Any Q4_0 tensor: `Q4_0`. Otherwise
    the file type's own name; where the file names none that is known, the type that most bytes have.

    Args:
        file_type: `general.file_type` of the file, if it says.
        tensors: all of them, at least one.
    """
    bytes_by_type: Counter[TensorType] = Counter()
    for tensor in tensors:
        bytes_by_type[tensor.type] += tensor.size_bytes
    if TensorType.MXFP4 in bytes_by_type:
        return "MXFP4"
    if file_type == _Q4_K_M_FILE_TYPE or TensorType.Q4_K in bytes_by_type:
        return "Q4_K_M"
    if TensorType.Q4_0 in bytes_by_type:
        return "Q4_0"
    commonest_type, _ = bytes_by_type.most_common(1)[0]
    return (
        _FILE_TYPE_NAMES.get(file_type, commonest_type.name) if file_type is not None else commonest_type.name
    )
