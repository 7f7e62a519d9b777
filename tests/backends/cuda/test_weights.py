"""Where the tensors of a model lie on the device."""

from itertools import pairwise

import pytest

from backends.cuda.weights import DeviceWeights
from domain.architectures import describe
from domain.memory_plan import plan_memory
from ports.tensor_types import TensorType
from tests.models.tiny import TinyShape, tiny_model

D_BASE = 2**33


@pytest.mark.req("M0-W-1220")
@pytest.mark.parametrize("tensor_type", [TensorType.F32, TensorType.Q8_0, TensorType.MXFP4])
def test_tensors_start_on_256_bytes_and_take_what_was_planned(tensor_type: TensorType) -> None:
    file = tiny_model(TinyShape("gpt-oss", matrix_type=tensor_type))
    description = describe(file)
    plan = plan_memory(description, free_bytes=2**40, gpu_device=0, path=file.path)

    weights = DeviceWeights(description.tensors, D_BASE)

    addresses = [weights.address(tensor) for tensor in description.tensors]
    ends = [
        address + tensor.size_bytes for address, tensor in zip(addresses, description.tensors, strict=True)
    ]
    assert plan.weights_bytes == weights.size_bytes
    assert {0} == {address % 256 for address in addresses}
    assert all(end <= start for end, (_, start) in zip(ends[:-1], pairwise(addresses), strict=True))
    assert ends[-1] <= D_BASE + weights.size_bytes


@pytest.mark.req("M0-W-1201")
def test_the_rows_of_an_expert_follow_those_of_the_one_before() -> None:
    file = tiny_model(TinyShape("gpt-oss"))
    weights = DeviceWeights(describe(file).tensors, D_BASE)
    tensor = file.tensors["blk.1.ffn_up_exps.weight"]
    num_experts, num_rows, num_columns = tensor.shape

    whole, third = weights.matrix(tensor), weights.matrix(tensor, first_row=2 * num_rows)

    num_sub_blocks = num_rows * num_columns // 32
    assert weights.address(tensor) == whole.d_quants
    assert whole.d_quants + num_experts * num_sub_blocks * 16 == whole.d_scales
    assert whole.d_quants + 2 * num_sub_blocks * 16 == third.d_quants
    assert whole.d_scales + 2 * num_sub_blocks == third.d_scales


@pytest.mark.req("M0-W-1201")
def test_a_part_of_a_vector_starts_at_its_first_element() -> None:
    file = tiny_model(TinyShape("gpt2"))
    weights = DeviceWeights(describe(file).tensors, D_BASE)
    bias = file.tensors["blk.0.attn_qkv.bias"]

    assert weights.address(bias) + 40 == weights.address(bias, first_element=10)
