"""Every kernel for every architecture, where there is no GPU: `make kernels` runs this file alone."""

from collections.abc import Set
from functools import cache

import pytest

from backends.cuda.catalogue import kernels_of
from backends.cuda.compiler import KernelSource
from domain.architectures import describe
from ports.model_description import ModelDescription
from tests.backends.cuda.compiled import DEVICES, complaints_about
from tests.backends.cuda.every_kernel import (
    EVERY_PREFILL_KERNEL,
    EVERY_SAMPLER_KERNEL,
    EVERY_TEST_KERNEL,
    EVERY_WEIGHT_KERNEL,
    HEAD_DIMS,
)
from tests.backends.cuda.reference_models import reference_models, toy_models
from tests.models.tiny import TinyShape, tiny_model

pytestmark = pytest.mark.req("M0-W-1201", "M0-W-1421", "M0-W-1430", "M0-W-1435", "M0-W-1702")


CHUNK_TOKENS = 512


def kernels(model: ModelDescription, arch: str) -> Set[KernelSource]:
    return kernels_of(model, chunk_tokens=CHUNK_TOKENS, num_multiprocessors=DEVICES[arch])


@cache
def kernels_of_reference_models(arch: str) -> frozenset[KernelSource]:
    models = reference_models().values()
    return frozenset().union(*(kernels(model, arch) for model in models))


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


@pytest.mark.parametrize("arch", DEVICES)
def test_the_kernels_of_every_reference_model_stay_in_registers(arch: str) -> None:
    found = complaints_about(kernels_of_reference_models(arch), arch=arch)

    assert not found, found


@pytest.mark.parametrize("arch", DEVICES)
def test_those_of_every_other_type_and_size_do_on_one_architecture_each(arch: str) -> None:
    found = complaints_about(some_other_kernels(arch), arch=arch)

    assert not found, found
