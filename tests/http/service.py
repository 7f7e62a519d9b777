"""A worker behind the real server on a real socket, with a scripted model underneath."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from adapters_inbound.http.application import create_app
from adapters_inbound.http.connection_guard import ConnectionLimits
from adapters_inbound.http.listener import bind
from adapters_inbound.http.server import HttpServer
from adapters_outbound.prometheus_metrics import PrometheusMetrics
from adapters_outbound.system import SystemClock
from adapters_outbound.tracing.passive import PassiveTracer
from app.inference_thread import InferenceThread
from domain.engine import Engine
from domain.health import Health
from domain.job_table import JobTable
from domain.storyteller import Storyteller
from domain.worker import Limits, Worker
from ports.tokenizer import Tokenizer
from ports.tracing import Tracer
from tests.http.client import Connection
from tests.support.bench_worker import INFO
from tests.support.doubles import ByteTokenizer, CountingEntropy, RecordingNarrator
from tests.support.scripted_model import ScriptedModel

LIMITS = Limits(max_model_len=40_000, max_tokens_in=40_000, max_tokens_out=2048, vocab_size=300)


class CountingIds:
    """new-1, new-2, ..."""

    def __init__(self) -> None:
        self._last = 0

    def correlation_id(self) -> str:
        self._last += 1
        return f"new-{self._last}"


def pace(seconds: float) -> Callable[[int], None]:
    """A step that takes so long."""
    return lambda _: time.sleep(seconds)


@dataclass
class Service:
    """Use as `async with Service(...) as service`. Options of the app and the connection pass through."""

    model: ScriptedModel = field(default_factory=ScriptedModel)
    tokenizer: Tokenizer = field(default_factory=ByteTokenizer)
    num_slots: int = 1
    limits: Limits = LIMITS
    inference_timeout_s: float = 60.0
    connection: ConnectionLimits = field(default_factory=ConnectionLimits)
    options: dict[str, Any] = field(default_factory=dict)
    num_active_experts: int | None = None
    tracer: Tracer = field(default_factory=PassiveTracer)

    async def __aenter__(self) -> Self:
        self.narrator = RecordingNarrator()
        self.shutdown_requests: list[str] = []  # correlation ids
        self.health = Health()
        self.jobs = JobTable(self.num_slots)
        self.thread = InferenceThread()
        self.metrics = PrometheusMetrics(
            worker_id=INFO.worker_id,
            quant_kind=INFO.quant_kind,
            num_active_experts=self.num_active_experts,
        )
        self.worker = self._wire()
        self.metrics.watch(self.worker.gauges)
        ids = CountingIds()
        self.app = create_app(
            self.worker,
            clock=SystemClock(),
            ids=ids,
            narrator=self.narrator,
            metrics=self.metrics,
            tracer=self.tracer,
            request_shutdown=self.shutdown_requests.append,
            **self.options,
        )
        self.server = HttpServer(self.app, bind("127.0.0.1", 0), ids=ids, limits=self.connection)
        await self.server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.worker.cancel_all()
        await self.server.stop(timeout_s=0.05)
        assert self.thread.stop(timeout_s=5)

    async def connect(self) -> Connection:
        return await Connection.open(self.server.port)

    async def until_idle(self, *, timeout_s: float = 2.0) -> float:
        """Wait until no slot is taken; return how long that took."""
        started_at = time.monotonic()
        while not self.worker.is_idle:
            assert time.monotonic() - started_at < timeout_s, "the slot is still taken"
            await asyncio.sleep(0.001)
        return time.monotonic() - started_at

    async def until_busy(self) -> None:
        async with asyncio.timeout(2.0):
            while self.worker.is_idle:  # noqa: ASYNC110 - the worker offers no event
                await asyncio.sleep(0.001)

    def _wire(self) -> Worker:
        clock, storyteller = SystemClock(), Storyteller(self.narrator)
        engine = Engine(
            model=self.model,
            tokenizer=self.tokenizer,
            jobs=self.jobs,
            health=self.health,
            clock=clock,
            storyteller=storyteller,
            metrics=self.metrics,
            inference_timeout_s=self.inference_timeout_s,
            residency_check_s=60.0,
        )
        worker = Worker(
            info=INFO,
            limits=self.limits,
            tokenizer=self.tokenizer,
            engine=engine,
            wake_engine=self.thread.wake,
            jobs=self.jobs,
            health=self.health,
            clock=clock,
            entropy=CountingEntropy(),
            storyteller=storyteller,
        )
        self.thread.serve(engine)
        return worker
