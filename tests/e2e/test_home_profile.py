"""The smoke test of a home user: the model on board, from start to stop."""

from pathlib import Path

import pytest

import app.models
from app.demo import MODEL_ON_BOARD
from tests.proof_bundle.recorded_worker import recorded_worker
from tests.proof_bundle.records import ProofRecorder
from tests.support.backends import BACKENDS
from tests.support.cancelled_job import cancel_one

MODEL = Path(app.models.__file__).parent / MODEL_ON_BOARD


@pytest.mark.req("M0-W-1820", "M0-W-1840", "SYS-10.4.1")
@pytest.mark.parametrize("backend", BACKENDS)
def test_start_health_execute_cancel_stop(backend: str, proof: ProofRecorder) -> None:
    request = {"prompt": "Write a haiku about tea.", "seed": 42, "temperature": 0.9}
    with recorded_worker(proof, ["--model", str(MODEL), "--backend", backend]) as worker:
        health = worker.client.health()
        assert ("healthy", "ready", True) == (health["status"], health["state"], health["resident"])

        answer = worker.client.complete({**request, "job_id": "whole", "max_tokens": 64})
        assert ("EOS", 42) == (answer.end["stop_reason"], answer.end["seed"])
        assert answer.text.strip()

        # So small a penalty rewards repetition: an answer that does not end before the cancel comes.
        endless = {"temperature": 2, "repetition_penalty": 0.1, "max_tokens": 400}
        last = cancel_one(worker, {**request, **endless})
        assert ("error", "CANCELLED") == (last.name, last.data["code"])

        after = worker.client.health()
        assert ("ready", health["vram_bytes_used"]) == (after["state"], after["vram_bytes_used"])
        assert 0 == worker.stop()
