"""Which kernels a model takes, known before anything of it is on the device."""

from collections.abc import Hashable, Mapping, Set
from dataclasses import fields, is_dataclass, replace

from backends.cuda.call import Call
from backends.cuda.compiler import KernelSource
from backends.cuda.decode_buffers import DecodeBuffers, decode_sizes, ropes_of
from backends.cuda.decode_calls import DecodeCalls, KvPool, SequencePointers
from backends.cuda.kv_pages import layer_offsets
from backends.cuda.prefill_buffers import PrefillBuffers, prefill_sizes
from backends.cuda.prefill_calls import PrefillCalls, prefill_sources
from backends.cuda.sampler import Method, SampleArgs, log_prob_call, sample_call
from backends.cuda.upload import repack_sources
from backends.cuda.weights import DeviceWeights
from ports.model_description import ModelDescription, Rope
from ports.model_file import TensorInfo


def kernels_of(
    description: ModelDescription, *, chunk_tokens: int, num_multiprocessors: int, max_shared_bytes: int
) -> Set[KernelSource]:
    """Every kernel that loading and running the model takes.

    Args:
        description: of the model.
        chunk_tokens: of a prompt's chunk at most.
        num_multiprocessors, max_shared_bytes: of the device.
    """
    layers = {_kind(layer): layer for layer in description.layers}  # of each kind one: a start waits for this
    description = replace(description, layers=tuple(layers.values()))
    prefill = _prefill_calls(description, num_multiprocessors, max_shared_bytes)
    calls = [
        *_decode_calls(description, num_multiprocessors),
        *_sampler_calls(description, num_multiprocessors),
    ]
    return {
        *(call.source for call in calls),
        *prefill_sources(prefill, chunk_tokens),
        *repack_sources(description.tensors),
    }


def _kind(part: object) -> Hashable:
    """What the kernels depend on of a layer or a part of one: all but where its tensors are."""
    if isinstance(part, TensorInfo):
        return part.type, part.shape
    if is_dataclass(part):
        return type(part), *(_kind(getattr(part, field.name)) for field in fields(part))
    assert isinstance(part, Hashable)
    return part


def _decode_calls(description: ModelDescription, num_multiprocessors: int) -> list[Call]:
    """Of one step, with null for every address: no name depends on one."""
    sizes = decode_sizes(description, num_multiprocessors=num_multiprocessors)
    rotations = _null_for_each_rope(description)
    calls = DecodeCalls(
        description,
        weights=DeviceWeights(description.tensors, 0),
        buffers=DecodeBuffers(**dict.fromkeys(sizes, 0), d_rotations=rotations, d_frequencies=rotations),
        pool=_null_pool(description),
        num_multiprocessors=num_multiprocessors,
    )
    return list(calls.step(SequencePointers(0, 0, 0)))


def _prefill_calls(
    description: ModelDescription, num_multiprocessors: int, max_shared_bytes: int
) -> PrefillCalls:
    frequencies = _null_for_each_rope(description)
    return PrefillCalls(
        description,
        weights=DeviceWeights(description.tensors, 0),
        buffers=PrefillBuffers(
            num_tokens=1, **dict.fromkeys(prefill_sizes(description, 1), 0), d_frequencies=frequencies
        ),
        pool=_null_pool(description),
        num_multiprocessors=num_multiprocessors,
        max_shared_bytes=max_shared_bytes,
    )


def _sampler_calls(description: ModelDescription, num_multiprocessors: int) -> list[Call]:
    args = SampleArgs(vocab_size=description.vocab_size)
    return [
        *(sample_call(method, args, num_multiprocessors=num_multiprocessors) for method in Method),
        log_prob_call(d_logits=0, d_token_ids=0, d_out=0, num_rows=1, vocab_size=description.vocab_size),
    ]


def _null_for_each_rope(description: ModelDescription) -> Mapping[Rope, int]:
    return dict.fromkeys(ropes_of(description), 0)


def _null_pool(description: ModelDescription) -> KvPool:
    return KvPool(0, 0, layer_offsets(description))
