"""Perplexity of held-out poems given their prompts, for each file: what each quantization costs.

    python -m tools.haiku.perplexity build/haiku/*.gguf app/models/haiku-q4_k_m.gguf

Computed by the CPU stand-in in float32. Only the answer counts, EOS included: a nonce in a prompt is chance.
"""

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adapters_outbound.gguf.opener import GgufModelFileOpener
from adapters_outbound.tokenizers.factory import build_tokenizer
from backends.fake.backend import FakeBackend
from domain.architectures import describe
from domain.errors import WorkerError
from domain.memory_plan import plan_memory
from ports.loaded_model import LoadedModel
from ports.tokenizer import Tokenizer
from tools.haiku.corpus import MEASURED, random_pairs

NUM_PAIRS = 500
SEED = 990_001  # of no training run

_MEMORY_BYTES = 2**32


def main() -> int:
    """Print one row a file, the largest first; exit status 1 where one cannot be measured."""
    parser = argparse.ArgumentParser(prog="python -m tools.haiku.perplexity", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    try:
        _print_table(parser.parse_args().files)
    except (WorkerError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _print_table(paths: Sequence[Path]) -> None:
    by_size = sorted(paths, key=lambda path: -path.stat().st_size)
    print("| file | bytes | perplexity | tokens |\n| --- | ---: | ---: | ---: |")
    for path in by_size:
        perplexity, num_tokens = measure(path)
        print(f"| {path.name} | {path.stat().st_size:,} | {perplexity:.4f} | {num_tokens} |", flush=True)


def measure(path: Path, num_pairs: int = NUM_PAIRS) -> tuple[float, int]:
    """(perplexity, number of tokens scored) of the model in a file."""
    model, tokenizer = _load(path)
    scores = np.concatenate(list(_answer_scores(model, tokenizer, num_pairs)))
    return math.exp(-float(scores.mean(dtype=np.float64))), len(scores)


def _load(path: Path) -> tuple[LoadedModel, Tokenizer]:
    file = GgufModelFileOpener().open(str(path))
    description = describe(file)
    tokenizer = build_tokenizer(file.metadata, path=str(path))
    plan = plan_memory(description, free_bytes=_MEMORY_BYTES, gpu_device=0, path=str(path))
    device = FakeBackend(_MEMORY_BYTES).open_device(0)
    model = device.load_model(description, file, plan, chunk_bytes=2**20, on_progress=lambda *_: None)
    file.close()
    return model, tokenizer


def _answer_scores(model: LoadedModel, tokenizer: Tokenizer, num_pairs: int) -> Iterator[NDArray[np.float32]]:
    eos = tokenizer.eos_token_id
    assert eos is not None, "the model on board has an EOS"
    for request, poem in islice(random_pairs(SEED, MEASURED), num_pairs):
        prompt = tokenizer.encode(request.prompt, add_bos=True, parse_special=True)
        answer = [*tokenizer.encode(poem, add_bos=False, parse_special=False), eos]
        yield model.score([*prompt, *answer])[len(prompt) - 1 :]


if __name__ == "__main__":
    sys.exit(main())
