"""Which kernels are compiled for which architecture where there is no GPU."""

from collections.abc import Set
from functools import cache
from zlib import crc32

from backends.cuda.catalogue import kernels_of
from backends.cuda.compiler import KernelSource
from domain.architectures import describe
from ports.model_description import ModelDescription
from tests.backends.cuda.compiled import DEVICES
from tests.backends.cuda.every_kernel import (
    EVERY_PREFILL_KERNEL,
    EVERY_SAMPLER_KERNEL,
    EVERY_TEST_KERNEL,
    EVERY_WEIGHT_KERNEL,
    HEAD_DIMS,
)
from tests.backends.cuda.reference_models import reference_models, toy_models
from tests.models.tiny import TinyShape, tiny_model

CHUNK_TOKENS = 512
SHARED_BYTES_A_BLOCK = {  # CUDA C++ Programming Guide, "Technical Specifications per Compute Capability"
    "sm_80": 163 * 1024,
    "sm_86": 99 * 1024,
    "sm_89": 99 * 1024,
    "sm_90a": 227 * 1024,
    "sm_100": 227 * 1024,
    "sm_120": 99 * 1024,
}

# Each is compiled for half of the kernels, and stands for the other with them: no kernel's source tells one
# from the other (test_catalogue.py looks), both have equal registers and shared memory, and of 191 kernels
# of the reference models not one took other registers, stack or shared memory. For sm_80 most did.
TWINS = ("sm_86", "sm_89")


def kernels(model: ModelDescription, arch: str) -> Set[KernelSource]:
    return kernels_of(
        model,
        chunk_tokens=CHUNK_TOKENS,
        num_multiprocessors=DEVICES[arch],
        max_shared_bytes=SHARED_BYTES_A_BLOCK[arch],
    )


@cache
def kernels_of_reference_models(arch: str) -> frozenset[KernelSource]:
    """All that the models take on a device of this architecture."""
    models = reference_models().values()
    return frozenset().union(*(kernels(model, arch) for model in models))


def share_of_reference_models(arch: str) -> frozenset[KernelSource]:
    """All of them; of those that the twins take, one half for each: together all of them once."""
    if arch not in TWINS:
        return kernels_of_reference_models(arch)
    of_both = frozenset().union(*(kernels_of_reference_models(twin) for twin in TWINS))
    return frozenset(source for source in of_both if compiled_for(source, arch) == arch)


def compiled_for(source: KernelSource, arch: str) -> str:
    """The architecture whose machine code stands for that of `arch`: its twin's for half the kernels."""
    if arch not in TWINS:
        return arch
    return TWINS[crc32(f"{source.file} {source.name}".encode()) % len(TWINS)]


def decode_attentions(arch: str) -> set[KernelSource]:
    """For heads of every size, alone and in groups."""
    shapes = [TinyShape(head_dim=size, num_kv_heads=count) for size in HEAD_DIMS for count in (1, 2, 4)]
    every = (kernels(describe(tiny_model(shape)), arch) for shape in shapes)
    return {source for source in set().union(*every) if source.file == "decode_attention.cu"}


def some_other_kernels(arch: str) -> list[KernelSource]:
    """A sixth of all that can be listed, another for each architecture: together all of them."""
    toys = (kernels(model, arch) for model in toy_models().values())
    listed = (
        EVERY_PREFILL_KERNEL,
        decode_attentions(arch),
        EVERY_SAMPLER_KERNEL,
        EVERY_TEST_KERNEL,
        EVERY_WEIGHT_KERNEL,
    )
    every: set[KernelSource] = set().union(*listed, *toys)
    in_order = sorted(every, key=lambda source: (source.file, source.name))
    return in_order[list(DEVICES).index(arch) :: len(DEVICES)]
