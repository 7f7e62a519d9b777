"""Every specialisation of the kernels whose parameters can be listed: tensor types, tiles, head sizes."""

from backends.cuda.compiler import KernelSource
from backends.cuda.packed import DENSE_TYPES
from backends.cuda.prefill_matmul import matmul_source
from backends.cuda.prefill_tile import few, few_paired, many
from backends.cuda.sampler import Method
from backends.cuda.staging import repack_source
from ports.tensor_types import TensorType

HEAD_DIMS = (8, 16, 64, 72, 80, 96, 112, 128, 192, 256)

_QUANTIZED_TYPES = [tensor_type for tensor_type in TensorType if tensor_type not in DENSE_TYPES]


def _each_type(file: str, name: str, types: list[TensorType]) -> list[KernelSource]:
    return [KernelSource(file, name.format(tensor_type.name)) for tensor_type in types]


_FEW_TILES = (few(1, 2), few(2, 3), few(3, 3), few(4, 2), few_paired(5))
TILES = (many(128, 8), many(64, 8), many(64, 4), *_FEW_TILES)
_NUM_MATRICES = {
    "stack_product": 3,
    "add_product": 1,
    "swiglu_product": 2,
    "gelu_product": 1,
    "expert_swiglu_product": 2,
    "expert_product": 1,
}

# Of matrices of one type; those of several are what models have.
MATMULS = sorted(
    {
        matmul_source(kernel, [tensor_type] * num_matrices, tile)
        for kernel, num_matrices in _NUM_MATRICES.items()
        for tensor_type in TensorType
        for tile in TILES
    },
    key=lambda source: source.name,
)
ROUTES = _each_type("prefill_route.cu", "route<{}>", list(TensorType))
ATTENTIONS = [KernelSource("prefill_attention.cu", f"attention<{head_dim}>") for head_dim in HEAD_DIMS]
WITHOUT_PARAMETERS = [
    KernelSource(f"prefill_{file}.cu", name)
    for file, names in {
        "norm": ("rms_norm", "layer_norm"),
        "rope": ("rope",),
        "experts": ("sort_pairs", "combine"),
    }.items()
    for name in names
]
EVERY_PREFILL_KERNEL = [*MATMULS, *ROUTES, *ATTENTIONS, *WITHOUT_PARAMETERS]

EVERY_WEIGHT_KERNEL = [
    *_each_type("dequantize.cu", "dequantize<{}>", list(TensorType)),
    *_each_type("dequantize.cu", "gather_rows<{}, false>", list(TensorType)),
    *_each_type("dequantize.cu", "gather_rows<{}, true>", list(TensorType)),
    *_each_type("dot_block.cu", "dot_blocks<{}>", _QUANTIZED_TYPES),
    *(repack_source(tensor_type) for tensor_type in _QUANTIZED_TYPES),
]

EVERY_SAMPLER_KERNEL = [
    *(KernelSource("sample.cu", f"sample<{method.value}>") for method in Method),
    KernelSource("log_prob.cu", "log_prob"),
]

EVERY_TEST_KERNEL = [
    KernelSource("driver.cu", name)
    for name in ("line<3>", "increment", "increment_after", "reverse", "meet", "wait_cycles", "trap")
] + [KernelSource("dot_block.cu", "quantize_blocks"), KernelSource("philox_draws.cu", "philox_draws")]
