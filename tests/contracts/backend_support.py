"""How the contract suite of compute backends loads and runs its models."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from domain.architectures import describe
from domain.memory_plan import plan_memory
from ports.compute_backend import ComputeBackend, Device
from ports.loaded_model import LoadedModel, SequenceId
from ports.memory import MemoryPlan
from ports.sampling import GREEDY, SamplingParams
from tests.models.memory_file import MemoryModelFile
from tests.models.tiny import TinyShape

MakeBackend = Callable[[], ComputeBackend]

SHAPES = [
    pytest.param(TinyShape("llama"), id="llama"),
    pytest.param(TinyShape("qwen2", is_tied=True), id="qwen2"),
    pytest.param(TinyShape("qwen3"), id="qwen3"),
    pytest.param(TinyShape("phi3", window=5), id="phi3"),
    pytest.param(TinyShape("gpt2", num_kv_heads=4, is_tied=True), id="gpt2"),
    pytest.param(TinyShape("gpt-oss"), id="gpt-oss"),
]
NUM_PAGES = 8  # of 16 tokens: all of one sequence's context, or several short ones
PROMPT = [7, 11, 90, 3, 3, 41, 17, 60]
HOT = SamplingParams(seed=2**64 - 1, temperature=1.5)


def plan_for(device: Device, file: MemoryModelFile, *, chunk_tokens: int = 128) -> MemoryPlan:
    free_bytes = device.info().free_bytes
    plan = plan_memory(describe(file), free_bytes=free_bytes, gpu_device=0, path=file.path, kv_cache_bytes=0)
    return dataclasses.replace(plan, num_kv_pages=NUM_PAGES, prefill_chunk_tokens=chunk_tokens)


def load(device: Device, file: MemoryModelFile, *, chunk_tokens: int = 128) -> LoadedModel:
    plan = plan_for(device, file, chunk_tokens=chunk_tokens)
    return device.load_model(describe(file), file, plan, chunk_bytes=4096, on_progress=ignore)


def ignore(_num_done_bytes: int, _num_total_bytes: int) -> None:
    """Progress nobody watches."""


def run(
    model: LoadedModel, prompt: Sequence[int], sampling: SamplingParams = GREEDY, *, num_tokens: int = 12
) -> list[int]:
    sequence_id = model.open_sequence(prompt, sampling, max_tokens=num_tokens)
    try:
        return run_open(model, {sequence_id: num_tokens})[sequence_id]
    finally:
        model.close_sequence(sequence_id)


def run_open(model: LoadedModel, wanted: dict[SequenceId, int]) -> dict[SequenceId, list[int]]:
    """Step until each of the sequences has as many tokens as wanted."""
    tokens: dict[SequenceId, list[int]] = {sequence_id: [] for sequence_id in wanted}
    for _ in range(1000):
        if all(len(tokens[sequence_id]) >= count for sequence_id, count in wanted.items()):
            return tokens
        for output in model.step():
            if output.sequence_id in tokens:
                tokens[output.sequence_id].append(output.token_id)
    raise AssertionError(f"1000 steps were not enough: {tokens}")


def spoil_token(file: MemoryModelFile, token_id: int) -> None:
    """Make the embedding of one token NaN, but not the head of a model where they are the same."""
    embedding = file.tensors["token_embd.weight"]
    if "output.weight" not in file.tensors:
        file.tensors["output.weight"] = dataclasses.replace(
            embedding, name="output.weight", offset_bytes=len(file.data)
        )
        file.data += file.data[embedding.offset_bytes :][: embedding.size_bytes]
    row_bytes = embedding.size_bytes // embedding.shape[0]
    start = embedding.offset_bytes + token_id * row_bytes
    nan_row = np.full(embedding.shape[1], np.nan, dtype=np.float32).tobytes()
    file.data = file.data[:start] + nan_row + file.data[start + row_bytes :]


def log_probabilities(model: LoadedModel, prefix: Sequence[int]) -> NDArray[np.float32]:
    rows = [model.score([*prefix, token_id])[-1] for token_id in range(TinyShape().vocab_size)]
    return np.array(rows, dtype=np.float32)
