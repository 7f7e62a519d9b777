"""How long each kernel of a model takes, by itself and all together.

    python -m bench.gpu.kernel_times FILE.gguf ...

A kernel by itself is all its launches of a step or chunk, captured as a graph in which they overlap; so what
it costs to begin and end is in it. The whole is less than the sum where kernels of different kinds overlap,
and more where they get in each other's way.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from statistics import median

from adapters_outbound.gguf.opener import GgufModelFileOpener
from backends.cuda.cache import default_cache_dir
from backends.cuda.call import Call
from backends.cuda.compiler import Compiler
from backends.cuda.context import Context
from backends.cuda.graph import Graph
from backends.cuda.kernel_set import KernelSet
from backends.cuda.loader import ModelLoader
from backends.cuda.memory import DeviceMemory
from backends.cuda.model_program import ModelProgram
from backends.cuda.sampler import Method, initial_state
from backends.cuda.stream import Stream
from domain.architectures import describe
from domain.errors import WorkerError
from domain.memory_plan import pages_for, plan_memory
from ports.sampling import GREEDY

CONTEXTS = (100, 2048)  # of decode steps
CHUNKS = (16, 512)  # tokens of prompts

_CHUNK_BYTES = 2**20  # as the worker loads
_KV_CACHE_BYTES = 4 * 2**30
_ENDLESS = 10**6  # steps: no replay finds its sequence at an end
_LEAST_LAUNCHES = 32  # in a graph, so that its own beginning does not count
_REPLAYS = 10  # between two waits
_REPEATS = 5
_MOST_STEPS = _REPLAYS * (_REPEATS + 1)  # of a sequence, each a position further


class KernelTimes:
    """One loaded model."""

    def __init__(self, context: Context, memory: DeviceMemory, path: str) -> None:
        self._stream = Stream()
        self._kernels = KernelSet(Compiler(context.properties.arch, default_cache_dir()), context.properties)
        with closing(GgufModelFileOpener().open(path)) as file:
            description = describe(file)
            plan = plan_memory(
                description,
                free_bytes=context.free_bytes(),
                gpu_device=0,
                path=path,
                kv_cache_bytes=_KV_CACHE_BYTES,
                prefill_chunk_tokens=max(CHUNKS),
            )
            loader = ModelLoader(context, memory, self._kernels, self._stream)
            self._program: ModelProgram = loader.load(
                description, file, plan, chunk_bytes=_CHUNK_BYTES, on_progress=lambda *_: None
            )
        self._context_length = description.context_length

    def tables(self) -> Iterator[str]:
        """Of a decode step at each context, then of each size of chunk, as Markdown."""
        for context in CONTEXTS:
            if context + _MOST_STEPS < self._context_length:
                yield f"step at {context}\n{self._of_step(context)}"
        for num_tokens in CHUNKS:
            if num_tokens < self._context_length:
                yield f"prompt of {num_tokens}\n{self._of_chunk(num_tokens)}"

    def close(self) -> None:
        self._program.synchronize()
        self._program.close()
        self._kernels.close()
        self._stream.close()

    def _of_step(self, position: int) -> str:
        state = initial_state(GREEDY, token_id=0, position=position, num_steps=_ENDLESS)
        slot = self._program.open_slot(range(pages_for(position + _MOST_STEPS)), state)
        table = self._table(self._program.step_calls(Method.GREEDY, slot))
        self._program.close_slot(slot)
        return table

    def _of_chunk(self, num_tokens: int) -> str:
        state = initial_state(GREEDY, token_id=0, position=0, num_steps=_ENDLESS)
        slot = self._program.open_slot(range(pages_for(num_tokens)), state)
        self._program.prefill(
            range(num_tokens), first_position=0, slot=slot
        )  # what the launches read is there
        table = self._table(self._program.chunk_calls(num_tokens, slot))
        self._program.close_slot(slot)
        return table

    def _table(self, calls: Sequence[Call]) -> str:
        together_us = self._replay_us(calls)  # before the sampler alone moves the sequence on
        kinds: dict[str, list[Call]] = {}
        for call in calls:
            kinds.setdefault(f"{call.source.name} {call.grid}", []).append(call)
        rows = ["| kernel | launches | us each | us |", "| --- | ---: | ---: | ---: |"]
        total_us = 0.0
        for name, alike in kinds.items():
            times = -(-_LEAST_LAUNCHES // len(alike))
            each_us = self._replay_us(alike * times) / len(alike) / times
            total_us += each_us * len(alike)
            rows.append(f"| {name} | {len(alike)} | {each_us:.2f} | {each_us * len(alike):.0f} |")
        rows += [f"| one by one | {len(calls)} | | {total_us:.0f} |"]
        rows += [f"| together | {len(calls)} | | {together_us:.0f} |"]
        return "\n".join(rows)

    def _replay_us(self, calls: Sequence[Call]) -> float:
        launches = [self._kernels.bind(call) for call in calls]

        def enqueue() -> None:
            for launch in launches:
                launch.enqueue(self._stream)

        with closing(Graph.capture(self._stream, enqueue)) as graph:
            seconds = [self._replays_s(graph) for _ in range(_REPEATS + 1)][1:]
        return 1e6 * median(seconds) / _REPLAYS

    def _replays_s(self, graph: Graph) -> float:
        self._stream.synchronize()
        start_s = time.perf_counter()
        for _ in range(_REPLAYS):
            graph.launch(self._stream)
        self._stream.synchronize()
        return time.perf_counter() - start_s


def main(arguments: Sequence[str]) -> int:
    """Print the tables of each file; exit status 1 where there is no GPU, or a file is no model."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.gpu.kernel_times",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", metavar="FILE.gguf")
    paths: Sequence[str] = parser.parse_args(arguments).files
    try:
        context = Context.open(0)
    except WorkerError as error:
        print(f"no GPU to measure: {error}", file=sys.stderr)
        return 1
    with closing(context):
        for path in paths:
            try:
                _print_tables(context, path)
            except WorkerError as error:
                print(error, file=sys.stderr)
                return 1
    return 0


def _print_tables(context: Context, path: str) -> None:
    with closing(DeviceMemory(context)) as memory, closing(KernelTimes(context, memory, path)) as times:
        for table in times.tables():
            print(f"{path}: {table}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
