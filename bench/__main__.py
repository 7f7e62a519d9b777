"""`make bench`: one table of measurements of this machine. `--model PATH`: another model."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import app
from app.demo import MODEL_ON_BOARD
from bench import backend_speed, http_speed, request_check, vocab_read
from bench.http_speed import percentile
from bench.machine import describe, read_bandwidth_bytes_per_s
from bench.proof import open_proof, write_proof
from bench.targets import TARGETS
from tests.proof_bundle.records import ProofRecorder

NUM_REQUESTS = 24


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    default = Path(app.__file__).parent / "models" / MODEL_ON_BOARD
    parser.add_argument("--model", type=Path, default=default)
    path = str(parser.parse_args().model.resolve())
    print(describe())
    print(
        f"model: {Path(path).name}, {Path(path).stat().st_size:,} bytes; {NUM_REQUESTS} requests, batch 1\n"
    )
    print("| what | measured | wanted of a GPU | how |")
    print("| --- | ---: | --- | --- |")
    printed = set()
    proof = open_proof()
    for what, figure, how in _rows(path, proof):
        print(f"| {what} | {figure} | {TARGETS.get(what, '')} | {how} |", flush=True)
        printed.add(what)
    if missing := TARGETS.keys() - printed:
        raise RuntimeError(f"no row measures {', '.join(sorted(missing))}")


def _rows(path: str, proof: ProofRecorder) -> Iterator[tuple[str, str, str]]:
    backend = backend_speed.measure(path, num_requests=NUM_REQUESTS)
    token_s = backend.decode_s_per_token
    yield "model load", f"{1000 * backend.load_s:.0f} ms", "open, validate, tokenizer, plan, dequantize"
    yield "decode, backend alone", f"{1 / token_s:.0f} tokens/s", f"{backend.decoded_tokens} tokens"
    yield from _limit(backend)
    http = http_speed.measure(path, num_requests=NUM_REQUESTS, proof=proof)
    print(f"proof bundle: {write_proof(proof, http)}", file=sys.stderr)
    yield "start to ready", f"{1000 * http.start_to_ready_s:.0f} ms", "process start to `ready`"
    yield (
        "time to first token",
        _percentiles_ms(http.first_token_s, 50, 95, 99),
        "p50 / p95 / p99, request sent to first token read",
    )
    yield (
        "time between tokens",
        _percentiles_ms(http.between_tokens_s, 50, 95, 99),
        "p50 / p95 / p99, from one token event read to the next",
    )
    yield (
        "decode over HTTP",
        f"{1 / http.decode_s_per_token:.0f} tokens/s",
        f"{http.decoded_tokens} tokens, first token read to last token read",
    )
    overhead_s = http.decode_s_per_token - token_s
    yield (
        "SSE overhead",
        f"{1e6 * overhead_s:.0f} µs per token",
        "HTTP less backend; the client shares the cores",
    )
    yield (
        "`/health` while generating",
        _percentiles_ms(http.health_s, 50, 99),
        f"p50 / p99 of {len(http.health_s)}",
    )
    yield (
        "parse and validate",
        _percentiles_ms(request_check.measure(), 50, 99),
        "p50 / p99, a prompt of 32,765 characters and every field, without tokenizing",
    )
    yield from _vocabulary()


def _percentiles_ms(seconds: Sequence[float], *percents: int) -> str:
    return " / ".join(f"{1000 * percentile(seconds, percent):.2f}" for percent in percents) + " ms"


def _limit(backend: backend_speed.BackendSpeed) -> Iterator[tuple[str, str, str]]:
    bandwidth = read_bandwidth_bytes_per_s()
    share = backend.float32_bytes / bandwidth / backend.decode_s_per_token
    yield (
        "share of the memory limit",
        f"{100 * share:.0f} %",
        f"{backend.float32_bytes / 1e6:.1f} MB a token, {bandwidth / 1e9:.1f} GB/s from memory by one thread",
    )


def _vocabulary() -> Iterator[tuple[str, str, str]]:
    try:
        seconds = vocab_read.measure()["worker-orcd"]
    except FileNotFoundError as error:
        yield "vocabulary read", "not measured", str(error)
    else:
        yield "vocabulary read", f"{1000 * seconds:.0f} ms", "ggml-vocab-qwen2.gguf, 152k tokens, best of 5"


if __name__ == "__main__":
    main()
