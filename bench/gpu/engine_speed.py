"""A backend alone, through its port: load, prompts, tokens."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from adapters_outbound.gguf.opener import GgufModelFileOpener
from bench.gpu.figure import Figure
from bench.gpu.limits import Limits
from bench.gpu.peer import Peer
from bench.gpu.plan import BenchPlan
from bench.gpu.traffic import bytes_per_token
from domain.architectures import describe
from domain.memory_plan import plan_memory
from ports.compute_backend import ComputeBackend
from ports.loaded_model import LoadedModel
from ports.model_description import ModelDescription
from ports.sampling import GREEDY

_CHUNK_BYTES = 2**20  # the worker's default


def measure_engine(
    backend: ComputeBackend, path: str, plan: BenchPlan, limits: Limits, peer: Peer
) -> Iterator[Figure]:
    """Load the model at `path` several times, then run prompts and decode with the last of them.

    Raises:
        WorkerError: the backend failed.
    """
    loads = [_load_once(backend, path) for _ in range(plan.num_loads)]
    with _load(backend, path) as loaded:
        loads.append(loaded.times)
        yield from _load_figures(loaded.weights_bytes, loads[1:], limits, peer)
        engine = _Engine(loaded.model, loaded.description)
        yield from _prefill_figures(engine, plan, peer)
        yield from _decode_figures(engine, plan, limits, peer)


@dataclass(frozen=True, slots=True)
class _LoadTimes:
    whole_s: float  # of `load_model`: memory, kernels, upload, graphs
    upload_s: float  # of that, from before the first byte is read until the last one is on the device


@dataclass(frozen=True, slots=True)
class _Loaded:
    model: LoadedModel
    description: ModelDescription
    weights_bytes: int
    times: _LoadTimes


@contextmanager
def _load(backend: ComputeBackend, path: str) -> Iterator[_Loaded]:
    device = backend.open_device(0)
    try:
        file = GgufModelFileOpener().open(path)
        try:
            description = describe(file)
            info = device.info()
            memory = plan_memory(
                description,
                free_bytes=info.free_bytes,
                gpu_device=info.device_id,
                path=path,
                prefill_chunk_tokens=info.prefill_chunk_tokens,
            )
            progress_s: list[float] = []  # when each report came: nothing done yet, ..., everything done
            start_s = time.perf_counter()
            model = device.load_model(
                description,
                file,
                memory,
                chunk_bytes=_CHUNK_BYTES,
                on_progress=lambda *_: progress_s.append(time.perf_counter()),
            )
            times = _LoadTimes(time.perf_counter() - start_s, progress_s[-1] - progress_s[0])
        finally:
            file.close()
        weights_bytes = sum(tensor.size_bytes for tensor in description.tensors)
        yield _Loaded(model, description, weights_bytes, times)
        model.close()
    finally:
        device.close()


def _load_once(backend: ComputeBackend, path: str) -> _LoadTimes:
    with _load(backend, path) as loaded:
        return loaded.times


def _load_figures(
    weights_bytes: int, loads: list[_LoadTimes], limits: Limits, peer: Peer
) -> Iterator[Figure]:
    yield Figure(
        "load",
        "GB/s",
        [weights_bytes / times.whole_s / 1e9 for times in loads],
        peer=weights_bytes / peer.load_s / 1e9 if peer.load_s else None,
    )
    yield Figure(
        "upload",
        "GB/s",
        [weights_bytes / times.upload_s / 1e9 for times in loads],
        limit=limits.copy_bytes_per_s / 1e9,
    )


def _prefill_figures(engine: "_Engine", plan: BenchPlan, peer: Peer) -> Iterator[Figure]:
    for length in plan.prefill_lengths:
        if length > engine.context_length:
            continue
        num_tokens = min(length, engine.context_length - 1)  # one place is left for the answer
        seconds = [engine.prefill_s(num_tokens) for _ in range(plan.num_repeats + 1)][1:]
        rate = peer.prefill_tokens_per_s.get(length)
        if length < 100:  # a short turn of a chat is a wait, not a throughput
            peer_ms = 1000 * length / rate if rate else None
            yield Figure(f"prompt of {length}", "ms", [1000 * each for each in seconds], peer=peer_ms)
        else:
            rates = [num_tokens / each for each in seconds]
            yield Figure(f"prompt of {length}", "tokens/s", rates, peer=rate)


def _decode_figures(engine: "_Engine", plan: BenchPlan, limits: Limits, peer: Peer) -> Iterator[Figure]:
    for context in plan.decode_contexts:
        num_prompt_tokens = context - plan.num_timed_tokens // 2 - plan.num_warm_up_tokens
        if num_prompt_tokens + plan.num_warm_up_tokens + plan.num_timed_tokens > engine.context_length:
            continue
        seconds = [engine.decode_s(num_prompt_tokens, plan) for _ in range(plan.num_repeats)]
        limit = limits.read_bytes_per_s / bytes_per_token(engine.description, context=context)
        yield Figure(
            decode_name(context),
            "tokens/s",
            [plan.num_timed_tokens / each for each in seconds],
            limit=limit,
            peer=peer.decode_tokens_per_s.get(context),
        )


def decode_name(context: int) -> str:
    return f"decode at {context}"


class _Engine:
    """One loaded model, with prompts of random ids: no two alike, so that nothing can be remembered."""

    def __init__(self, model: LoadedModel, description: ModelDescription) -> None:
        self.description = description
        self.context_length = description.context_length
        self._model = model
        self._rng = np.random.default_rng(1)

    def prefill_s(self, num_tokens: int) -> float:
        """From an opened sequence to its first token."""
        prompt_ids = self._prompt(num_tokens)
        start_s = time.perf_counter()
        sequence_id = self._model.open_sequence(prompt_ids, GREEDY, max_tokens=1)
        self._take(1)
        elapsed_s = time.perf_counter() - start_s
        self._model.close_sequence(sequence_id)
        return elapsed_s

    def decode_s(self, num_prompt_tokens: int, plan: BenchPlan) -> float:
        """From the last token of the warm-up taken to the last timed token taken."""
        max_tokens = plan.num_warm_up_tokens + plan.num_timed_tokens
        prompt_ids = self._prompt(num_prompt_tokens)
        sequence_id = self._model.open_sequence(prompt_ids, GREEDY, max_tokens=max_tokens)
        self._take(plan.num_warm_up_tokens)
        start_s = time.perf_counter()
        self._take(plan.num_timed_tokens)
        elapsed_s = time.perf_counter() - start_s
        self._model.close_sequence(sequence_id)
        return elapsed_s

    def _prompt(self, num_tokens: int) -> list[int]:
        prompt_ids: list[int] = self._rng.integers(0, self.description.vocab_size, num_tokens).tolist()
        return prompt_ids

    def _take(self, count: int) -> None:
        while count > 0:
            count -= len(self._model.step())
