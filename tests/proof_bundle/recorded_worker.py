"""A real worker whose requests, answers and facts go into the proof bundle."""

import hashlib
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from app.client import ServerEvent, WorkerClient
from app.launcher import Narration, WorkerProcessHandle
from tests.proof_bundle.records import ProofRecorder, Record

_FACTS = {
    "startup": ("worker_id", "version", "backend"),
    "model_load_start": ("device_name", "vram_total_bytes"),
    "model_load_complete": ("model", "architecture", "quant_kind", "vram_bytes"),
    "ready": ("startup_ms",),
}


def recorded_worker(proof: ProofRecorder, arguments: Sequence[str]) -> WorkerProcessHandle:
    """A worker process with these arguments, not started yet."""
    record = proof.worker([_without_folder(word) for word in arguments])
    return WorkerProcessHandle(
        arguments,
        on_narration=_noting(record),
        make_client=lambda base_url: RecordingClient(base_url, proof),
    )


class RecordingClient(WorkerClient):
    """Records every stream. A subclass, so that tests hold a `WorkerClient` and cannot tell."""

    def __init__(self, base_url: str, proof: ProofRecorder) -> None:
        super().__init__(base_url)
        self._proof = proof

    def execute(self, request: Mapping[str, object]) -> Generator[ServerEvent, None, None]:
        stream = self._proof.stream(request)
        with closing(super().execute(request)) as events:
            for event in events:
                stream.event(event.name, event.data)
                yield event


def _noting(record: Record) -> Callable[[Narration], None]:
    def note(narration: Narration) -> None:
        facts = _FACTS.get(narration["event"], ())
        record.update({fact: narration[fact] for fact in facts})
        if narration["event"] == "model_load_start":
            record.update(_model_file(Path(narration["model_path"])))

    return note


def _model_file(path: Path) -> Record:
    return {"model_file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def _without_folder(word: str) -> str:
    """Paths differ from machine to machine: two runs of the same tests have the same flags."""
    return Path(word).name if word.startswith("/") else word
