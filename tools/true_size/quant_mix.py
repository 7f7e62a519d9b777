"""Which block type each tensor has in the published files.

Source: llama.cpp, `llama-quant.cpp`, `llama_tensor_get_type`: the mixes, and what replaces a type where a
row is no multiple of 256.
"""

from ports.tensor_types import TensorType
from tools.haiku.quant_mix import uses_more_bits
from tools.true_size.model_shape import ModelShape

_SUBSTITUTES = {
    TensorType.Q4_K: TensorType.Q5_0,
    TensorType.Q5_K: TensorType.Q5_1,
    TensorType.Q6_K: TensorType.Q8_0,
}
_HEAD = "output.weight"
_EMBEDDING = "token_embd.weight"


def matrix_type(shape: ModelShape, name: str, columns: int) -> TensorType:
    """The type of the matrix `name`, a weight that is quantized at all."""
    if shape.mix == "MXFP4":
        return TensorType.MXFP4 if name.endswith("_exps.weight") else TensorType.Q8_0
    is_head = name == (_EMBEDDING if shape.is_tied else _HEAD)
    wanted = TensorType.Q6_K if is_head else _body_type(shape, name)
    is_ragged = columns % TensorType.Q6_K.block.num_elements != 0
    return _SUBSTITUTES.get(wanted, wanted) if is_ragged else wanted


def _body_type(shape: ModelShape, name: str) -> TensorType:
    if shape.mix == "Q4_0":
        return TensorType.Q4_0
    if name.endswith("attn_qkv.weight"):
        return TensorType.Q5_K
    is_heavy = name.endswith(("attn_v.weight", "ffn_down.weight"))
    if is_heavy and uses_more_bits(int(name.split(".")[1]), shape.num_layers):
        return TensorType.Q6_K
    return TensorType.Q4_K
