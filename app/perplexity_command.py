"""`worker-orcd perplexity`: how well a model predicts a text."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from adapters_outbound.gguf.opener import GgufModelFileOpener
from adapters_outbound.tokenizers.factory import build_tokenizer
from backends.cuda.backend import CudaBackend
from backends.fake.backend import FakeBackend
from domain.architectures import describe
from domain.errors import InvalidRequest, WorkerError
from domain.memory_plan import plan_memory
from domain.perplexity import Perplexity, measure_perplexity
from ports.compute_backend import ComputeBackend
from ports.loaded_model import LoadedModel
from ports.tokenizer import Tokenizer

_FAKE_BYTES = 1 << 40  # the stand-in's memory is pretended: here it is no limit
_CHUNK_BYTES = 2**20


def run_perplexity(arguments: Sequence[str]) -> int:
    """Load, score, print. Returns the exit status."""
    options = _parse(arguments)
    try:
        text = _read(options.text)
        model, tokenizer = _load(str(Path(options.file).resolve()), options.backend)
        result = _measure(model, tokenizer, text, options.context)
    except (WorkerError, OSError) as error:
        print(f"worker-orcd perplexity: {error}", file=sys.stderr)  # noqa: T201 for the person
        return 1
    _print(result, options)
    return 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="worker-orcd perplexity",
        description="Perplexity and its standard error over windows of N tokens that do not overlap;"
        " the second half of each window is scored.",
    )
    parser.add_argument("file", help="the .gguf file")
    parser.add_argument("--text", required=True, metavar="TEXTFILE", help="what to score, UTF-8")
    parser.add_argument(
        "--context", type=int, default=512, metavar="N", help="window in tokens (default 512)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    backends = ("cuda", "fake")
    best = "cuda" if CudaBackend().device_count() else "fake"
    parser.add_argument("--backend", choices=backends, default=best, help=f"default here: {best}")
    return parser.parse_args(arguments)


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"{path} is not UTF-8: {error.reason} at byte {error.start}") from error


def _load(path: str, backend_name: str) -> tuple[LoadedModel, Tokenizer]:
    backend: ComputeBackend = CudaBackend() if backend_name == "cuda" else FakeBackend(_FAKE_BYTES)
    device = backend.open_device(0)
    file = GgufModelFileOpener().open(path)
    try:
        description = describe(file)
        tokenizer = build_tokenizer(file.metadata, path=path)
        plan = plan_memory(description, free_bytes=device.info().free_bytes, gpu_device=0, path=path)
        model = device.load_model(
            description, file, plan, chunk_bytes=_CHUNK_BYTES, on_progress=lambda *_: None
        )
        return model, tokenizer
    finally:
        file.close()


def _measure(model: LoadedModel, tokenizer: Tokenizer, text: str, window_tokens: int) -> Perplexity:
    add_bos = tokenizer.adds_bos
    if not text:
        raise InvalidRequest("the text is empty")
    token_ids = tokenizer.encode(text, add_bos=add_bos, parse_special=False)
    bos_token_id = tokenizer.bos_token_id if add_bos else None
    return measure_perplexity(model, token_ids, window_tokens=window_tokens, bos_token_id=bos_token_id)


def _print(result: Perplexity, options: argparse.Namespace) -> None:
    facts = {
        "perplexity": result.value,
        "standard_error": result.standard_error,
        "tokens": result.num_tokens,
        "windows": result.num_windows,
        "context": options.context,
        "backend": options.backend,
        "file": options.file,
    }
    if options.json:
        print(msgspec.json.encode(facts).decode())  # noqa: T201 the result
        return
    print(  # noqa: T201 the result
        f"perplexity {result.value:.4f} +/- {result.standard_error:.4f} ({result.num_tokens} tokens in "
        f"{result.num_windows} windows of {options.context}; {options.backend})"
    )
