"""`make bench-gpu`: this worker on an NVIDIA GPU, beside llama.cpp's figures on the same kind of card."""

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from backends.cuda.backend import CudaBackend
from bench.gpu.figure import MeasurementFailed
from bench.gpu.limits import Limits, measure_limits
from bench.gpu.machine import describe_machine
from bench.gpu.measure import measure_model
from bench.gpu.model_files import NAMES, model_file
from bench.gpu.peer import PEERS, Peer
from bench.gpu.plan import QUICK, BenchPlan
from bench.gpu.table import HEADER, LEGEND, as_json, table_row
from domain.errors import WorkerError
from tools.true_size.model_shape import QWEN_2_5_0_5B

_WORKER_ARGUMENTS = ("--backend", "cuda")


def main() -> int:
    """Measure, print one table; exit status 1 where something could not be measured."""
    arguments = _parser().parse_args()
    # Workers that are started find their bytecode, as installed ones do, also where an image forbids it.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        machine = describe_machine()
        limits = measure_limits()
    except WorkerError as error:
        print(f"no GPU to measure: {error}", file=sys.stderr)
        return 1
    for what, value in machine.items():
        print(f"{what}: {value}")
    print(
        f"measured limits: read {limits.read_bytes_per_s / 1e12:.2f} TB/s, "
        f"page-locked copy to the device {limits.copy_bytes_per_s / 1e9:.1f} GB/s\n\n{HEADER}",
        flush=True,
    )
    results, failures = _measure_all(arguments, limits)
    print(f"\n{LEGEND}")
    for failure in failures:
        print(failure, file=sys.stderr)
    if arguments.json is not None:
        everything = {"machine": machine, "limits": asdict(limits), "models": results, "failures": failures}
        arguments.json.write_text(json.dumps(everything, indent=1) + "\n")
    return 1 if failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--dir", type=Path, help="where model files are and stay; default: a temporary one")
    parser.add_argument("--quick", action="store_true", help=f"few repeats, of {QWEN_2_5_0_5B.name} alone")
    parser.add_argument("--no-http", action="store_true", help="the backend alone: no worker process")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every sample to FILE")
    return parser


def _measure_all(arguments: argparse.Namespace, limits: Limits) -> tuple[dict[str, object], list[str]]:
    """Rows by model, printed as they come; after a model that fails come the others."""
    plan = QUICK if arguments.quick else BenchPlan()
    worker_arguments = None if arguments.no_http else _WORKER_ARGUMENTS
    results: dict[str, object] = {}
    failures: list[str] = []
    for name in arguments.models or ([QWEN_2_5_0_5B.name] if arguments.quick else NAMES):
        rows: list[dict[str, object]] = []
        results[name] = rows
        try:
            with model_file(name, arguments.dir) as path:
                for figure in measure_model(
                    CudaBackend(),
                    str(path),
                    plan,
                    limits,
                    PEERS.get(name, Peer()),
                    worker_arguments=worker_arguments,
                ):
                    print(table_row(name, figure), flush=True)
                    rows.append(as_json(figure))
        except (WorkerError, MeasurementFailed, OSError) as error:
            failures.append(f"{name}: {error}")
    return results, failures


if __name__ == "__main__":
    sys.exit(main())
