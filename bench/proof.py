"""The proof bundle of a benchmark run (spec §25, type `performance`)."""

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.http_speed import HttpSpeed, percentile
from tests.proof_bundle.bundle import Run, write_bundle
from tests.proof_bundle.environment import ROOT, git_commit
from tests.proof_bundle.records import ProofRecorder
from tests.proof_bundle.run_id import proof_directory, run_id


def open_proof() -> ProofRecorder:
    """What the worker processes that are measured are recorded in."""
    proof = ProofRecorder()
    proof.enter("bench", "performance")
    return proof


def write_proof(proof: ProofRecorder, speed: HttpSpeed) -> Path:
    """Write the bundle, and return where it lies.

    Raises:
        OSError: it cannot be written.
    """
    proof.add(
        "histograms.json",
        first_token_ms=_histogram(speed.first_token_s),
        between_tokens_ms=_histogram(speed.between_tokens_s),
        health_while_generating_ms=_histogram(speed.health_s),
    )
    name = run_id(os.environ, now=datetime.now(UTC), git_commit=git_commit())
    run = Run(name, ["python", "-m", "bench", *sys.argv[1:]])
    return write_bundle(proof_directory(os.environ, root=ROOT), run, proof.bundle)


def _histogram(seconds: Sequence[float]) -> dict[str, float]:
    percentiles = {f"p{percent}": round(1000 * percentile(seconds, percent), 3) for percent in (50, 95, 99)}
    return {"count": len(seconds), **percentiles}
