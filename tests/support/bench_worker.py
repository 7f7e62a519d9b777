"""A worker put together from the real core and doubles, driven step by step by the test."""

from dataclasses import dataclass, field

from domain.engine import Engine
from domain.health import Health
from domain.job import Job
from domain.job_table import JobTable
from domain.storyteller import Storyteller
from domain.worker import Limits, Worker
from domain.worker_info import WorkerInfo
from tests.support.doubles import (
    ByteTokenizer,
    CountingEntropy,
    RecordingMetrics,
    RecordingNarrator,
    RecordingSink,
    VirtualClock,
)
from tests.support.scripted_model import ScriptedModel

INFO = WorkerInfo(
    worker_id="00000000-0000-4000-8000-000000000001",
    model="scripted",
    model_ref="file:/scripted.gguf",
    architecture="llama",
    quant_kind="Q4_K_M",
    tokenizer_kind="gguf-bpe",
    vocab_size=300,
    context_length=64,
    effective_context_length=64,
    gpu_device=0,
    eos_token_id=257,
    bos_token_id=256,
)
LIMITS = Limits(max_model_len=64, max_tokens_in=64, max_tokens_out=2048, vocab_size=300)


@dataclass
class Bench:
    """The worker and everything around it, within the test's reach."""

    model: ScriptedModel = field(default_factory=ScriptedModel)
    num_slots: int = 1
    limits: Limits = LIMITS
    inference_timeout_s: float = 300.0
    residency_check_s: float = 60.0

    def __post_init__(self) -> None:
        self.clock = VirtualClock()
        self.narrator = RecordingNarrator()
        self.health = Health()
        self.jobs = JobTable(self.num_slots)
        self.tokenizer = ByteTokenizer()
        self.metrics = RecordingMetrics()
        self.num_wakes = 0
        storyteller = Storyteller(self.narrator)
        self.engine = Engine(
            model=self.model,
            tokenizer=self.tokenizer,
            jobs=self.jobs,
            health=self.health,
            clock=self.clock,
            storyteller=storyteller,
            metrics=self.metrics,
            inference_timeout_s=self.inference_timeout_s,
            residency_check_s=self.residency_check_s,
        )
        self.worker = Worker(
            info=INFO,
            limits=self.limits,
            tokenizer=self.tokenizer,
            engine=self.engine,
            wake_engine=self._wake,
            jobs=self.jobs,
            health=self.health,
            clock=self.clock,
            entropy=CountingEntropy(),
            storyteller=storyteller,
        )

    def admit(self, job_id: str = "job", **fields: object) -> Job:
        body = {"job_id": job_id, "prompt": "hi", "max_tokens": 4, **fields}
        return self.worker.admit(body, correlation_id=f"cid-{job_id}")

    def start(self, job_id: str = "job", **fields: object) -> tuple[Job, RecordingSink]:
        """Admit, prepare and start a job."""
        job = self.admit(job_id, **fields)
        self.worker.prepare(job)
        sink = RecordingSink()
        self.worker.start(job, sink)
        return job, sink

    def run(self, job_id: str = "job", **fields: object) -> RecordingSink:
        """Run a job to its end."""
        _, sink = self.start(job_id, **fields)
        self.finish()
        return sink

    def finish(self, max_ticks: int = 10_000) -> None:
        """Tick until there is nothing left to do."""
        for _ in range(max_ticks):
            if not self.engine.tick():
                return
        raise AssertionError("the engine does not come to rest")

    def _wake(self) -> None:
        self.num_wakes += 1
