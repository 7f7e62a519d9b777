"""What a worker on a device says of itself, and how it ends."""

import re
import signal
from pathlib import Path

import pytest

import app.models
from app.demo import MODEL_ON_BOARD
from backends.cuda.properties import read_properties
from tests.gpu.port import opened
from tests.proof_bundle.recorded_worker import recorded_worker
from tests.proof_bundle.records import ProofRecorder
from tests.support.backends import BACKENDS

MODEL = Path(app.models.__file__).parent / MODEL_ON_BOARD


@pytest.mark.req("M0-W-1820", "M0-W-1826", "M0-W-1320", "M0-W-1364")
@pytest.mark.parametrize("backend", BACKENDS)
def test_start_health_execute_repeat_signal(backend: str, proof: ProofRecorder) -> None:
    request = {"job_id": "job", "prompt": "Write a haiku about rain.", "temperature": 0, "max_tokens": 50}
    with opened(backend, str(MODEL)) as loaded:  # and closed again, before the worker comes
        plan = loaded.plan
    with recorded_worker(proof, ["--model", str(MODEL), "--backend", backend]) as worker:
        before = worker.client.health()
        first, again = (worker.client.complete(request) for _ in range(2))
        after = worker.client.health()
        worker.signal(signal.SIGTERM)

        assert 0 == worker.wait()
    assert first.text.strip()
    assert first.token_ids == again.token_ids
    assert ("healthy", True, "vram-only") == tuple(
        before[field] for field in ("status", "resident", "memory_architecture")
    )
    assert pytest.approx(plan.total_bytes, rel=0.02) == before["vram_bytes_used"]
    assert before["vram_bytes_used"] == after["vram_bytes_used"]
    assert (backend == "cuda") == ("sm" in before) == ("cuda_runtime_version" in before)


@pytest.mark.gpu
@pytest.mark.req("M0-W-1320")
def test_health_names_architecture_and_runtime_of_the_device(proof: ProofRecorder) -> None:
    with recorded_worker(
        proof, ["--model", str(MODEL)]
    ) as worker:  # a GPU is what it takes unless told otherwise
        health = worker.client.health()

    major, minor = read_properties(0).compute_capability
    assert 10 * major + minor == health["sm"]
    assert re.fullmatch(r"1[2-9]\.\d", health["cuda_runtime_version"])
