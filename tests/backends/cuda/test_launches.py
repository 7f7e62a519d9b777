"""The launches of a model, before there is a device: addresses, parts of tensors, and what a block takes."""

import ctypes
from collections.abc import Iterator, Set
from functools import cache

import pytest

from backends.cuda.arena import Arena
from backends.cuda.call import Call
from backends.cuda.compiler import Compiler, KernelSource
from backends.cuda.cubin import Cubin
from backends.cuda.decode_args import AttentionArgs, Stack
from backends.cuda.decode_calls import DecodeCalls, KvPool, SequencePointers
from backends.cuda.kv_pages import layer_offsets
from backends.cuda.packed import DENSE_TYPES, PackedMatrix
from backends.cuda.prefill_attention import ChunkPointers
from backends.cuda.prefill_calls import PrefillCalls, chunk_sizes
from backends.cuda.scratch import lay_out
from backends.cuda.staging import repack_source
from backends.cuda.weights import DeviceWeights
from domain.memory_plan import plan_memory
from ports.model_description import ModelDescription
from tests.backends.cuda.compiled import CACHE_DIR, DEVICES
from tests.backends.cuda.every_kernel import EVERY_SAMPLER_KERNEL
from tests.backends.cuda.reference_models import reference_models, toy_models
from tests.backends.cuda.shares import CHUNK_TOKENS, SHARED_BYTES_A_BLOCK, compiled_for, kernels

pytestmark = pytest.mark.req("M0-W-1430", "M0-W-1431")

MODELS = reference_models() | toy_models()
D_WEIGHTS, D_SCRATCH, D_POOL, D_SEQUENCE = (n * 2**44 for n in range(1, 5))
SEQUENCE_BYTES = 2**20
REGISTERS_A_BLOCK = 65_536


class Layout:
    """A model laid out as on a device, but for the device."""

    def __init__(self, description: ModelDescription, arch: str = "sm_90a") -> None:
        num_multiprocessors = DEVICES[arch]
        self.plan = plan_memory(
            description, free_bytes=2**42, gpu_device=0, path="", prefill_chunk_tokens=CHUNK_TOKENS
        )
        self.weights = DeviceWeights(description.tensors, D_WEIGHTS)
        arena = Arena(D_SCRATCH, self.plan.scratch_bytes)
        scratch = lay_out(description, self.plan, arena, num_multiprocessors=num_multiprocessors)
        pool = KvPool(D_POOL, self.plan.kv_page_bytes, layer_offsets(description))
        self._decode = DecodeCalls(
            description,
            weights=self.weights,
            buffers=scratch.decode,
            pool=pool,
            num_multiprocessors=num_multiprocessors,
        )
        self._prefill = PrefillCalls(
            description,
            weights=self.weights,
            buffers=scratch.prefill,
            pool=pool,
            num_multiprocessors=num_multiprocessors,
            max_shared_bytes=SHARED_BYTES_A_BLOCK[arch],
        )

    def decode(self) -> list[Call]:
        return list(self._decode.step(SequencePointers(D_SEQUENCE, D_SEQUENCE + 4, D_SEQUENCE + 256)))

    def prefill(self) -> list[Call]:
        chunk = ChunkPointers(D_SEQUENCE, D_SEQUENCE + 4, D_SEQUENCE + 4096, D_SEQUENCE + 8192)
        return [
            call
            for most_tokens in chunk_sizes(self.plan.prefill_chunk_tokens)
            for call in self._prefill.chunk(chunk, most_tokens)
        ]

    def is_inside(self, address: int) -> bool:
        sizes = {
            D_WEIGHTS: self.weights.size_bytes,
            D_SCRATCH: self.plan.scratch_bytes,
            D_POOL: self.plan.kv_cache_bytes,
            D_SEQUENCE: SEQUENCE_BYTES,
        }
        return any(start <= address < start + size_bytes for start, size_bytes in sizes.items())


@cache
def layout(name: str) -> Layout:
    return Layout(MODELS[name])


def addresses(value: object) -> Iterator[int]:
    """Every 64-bit address in an argument but null, those in structures too."""
    match value:
        case ctypes.c_uint64():
            yield value.value
        case ctypes.Array():
            for element in value:
                yield from addresses(element)
        case ctypes.Structure():
            for name, *_ in value._fields_:
                part = getattr(value, name)
                if not isinstance(part, int | float):
                    yield from addresses(part)
                elif name.startswith("d_") and part:
                    yield int(part)


@pytest.mark.parametrize("name", MODELS)
def test_kernels_are_given_no_address_outside_the_models_memory(name: str) -> None:
    model = layout(name)
    for call in (*model.decode(), *model.prefill()):
        outside = [
            hex(address)
            for arg in call.args
            for address in addresses(arg)
            if address and not model.is_inside(address)
        ]

        assert [] == outside, call.source


@pytest.mark.parametrize("name", MODELS)
def test_every_layer_keeps_its_keys_in_its_own_part_of_a_page(name: str) -> None:
    calls = layout(name).decode()
    places = [arg.layer_bytes for call in calls for arg in call.args if isinstance(arg, AttentionArgs)]

    assert len(MODELS[name].layers) == len(set(places))
    assert sorted(places) == places


@pytest.mark.parametrize("name", ["phi-3-mini-4k-q4_k_m", "gpt-2-small-f16"])
def test_a_fused_matrix_is_read_part_by_part_from_end_to_end(name: str) -> None:
    attention = MODELS[name].layers[0].attention
    weight = attention.query.weight
    stack = next(arg for call in layout(name).decode() for arg in call.args if isinstance(arg, Stack))
    firsts = [0, len(attention.query.rows), len(attention.query.rows) + len(attention.key.rows)]

    assert weight is attention.value.weight
    assert weight.shape[0] == sum(rows.num_rows for rows in stack.rows)
    for first_row, rows in zip(firsts, stack.rows, strict=True):
        expected = layout(name).weights.matrix(weight, first_row=first_row)
        assert bytes(expected) == bytes(rows.matrix)


def test_what_a_stack_does_not_have_has_no_rows() -> None:
    head = layout("llama-3.1-8b-q4_k_m").decode()[-1]
    stack = next(arg for arg in head.args if isinstance(arg, Stack))

    assert [128_256, 0, 0] == [rows.num_rows for rows in stack.rows]
    assert bytes(PackedMatrix()) == bytes(stack.rows[1].matrix) == bytes(stack.rows[2].matrix)


@pytest.mark.parametrize("arch", ["sm_86", "sm_90a"])  # whose blocks have the least and the most memory
@pytest.mark.parametrize("name", MODELS)
def test_every_kernel_that_is_launched_is_in_the_catalogue(name: str, arch: str) -> None:
    """What is not would be missing on the device: the loader compiles the catalogue and nothing else."""
    types = {tensor.type for tensor in MODELS[name].tensors} - DENSE_TYPES
    model = Layout(MODELS[name], arch)
    wanted = {call.source for call in (*model.decode(), *model.prefill())}
    wanted |= {repack_source(tensor_type) for tensor_type in types} | set(EVERY_SAMPLER_KERNEL)

    assert wanted <= kernels(MODELS[name], arch)


@pytest.mark.parametrize("arch", DEVICES)
def test_every_block_fits_on_a_multiprocessor(arch: str) -> None:
    for description in reference_models().values():
        model = Layout(description, arch)
        cubins = cubins_of(kernels(description, arch), arch=arch)
        for call in (*model.decode(), *model.prefill()):
            resources = cubins[call.source].resources

            assert call.shared_bytes + resources.shared_bytes <= SHARED_BYTES_A_BLOCK[arch], call.source
            assert call.num_threads * resources.registers <= REGISTERS_A_BLOCK, call.source


def cubins_of(sources: Set[KernelSource], *, arch: str) -> dict[KernelSource, Cubin]:
    """Each kernel as it is compiled for `arch` or for the architecture that stands for it."""
    cubins: dict[KernelSource, Cubin] = {}
    for compiled_arch in {compiled_for(source, arch) for source in sources}:
        share = [source for source in sources if compiled_for(source, arch) == compiled_arch]
        cubins |= Compiler(compiled_arch, CACHE_DIR).compile(share)
    return cubins
