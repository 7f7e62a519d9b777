"""The composition root: which class plays which part."""

import os
from importlib.metadata import version

from dependency_injector import containers, providers

from adapters_outbound.gguf.opener import GgufModelFileOpener
from adapters_outbound.narration.loguru_narrator import LoguruNarrator
from adapters_outbound.prometheus_metrics import PrometheusMetrics
from adapters_outbound.system import SystemClock, SystemEntropy, SystemIds
from adapters_outbound.tracing.choice import open_tracer
from app.inference_thread import InferenceThread
from app.loading import Loader
from app.process_story import ProcessStory
from app.settings import Settings
from domain.engine import Engine
from domain.health import Health
from domain.job_table import JobTable
from domain.storyteller import Storyteller
from domain.worker import Worker
from ports.ready_notifier import ReadyNotifier

VERSION = version("worker-orcd")
NUM_SLOTS = 1  # M0-W-1301: never two inferences at once


class Container(containers.DeclarativeContainer):
    """Everything that lives as long as the process. A backend is imported only when it is chosen."""

    settings: providers.Dependency[Settings] = providers.Dependency(instance_of=Settings)
    identity: providers.Dependency[dict[str, object]] = providers.Dependency(instance_of=dict)

    clock = providers.Singleton(SystemClock)
    entropy = providers.Singleton(SystemEntropy)
    ids = providers.Singleton(SystemIds)
    narrator = providers.Singleton(LoguruNarrator, clock, version=VERSION, identity=identity)
    process_story = providers.Singleton(ProcessStory, narrator, settings)
    storyteller = providers.Singleton(Storyteller, narrator)
    ready_notifier: providers.Factory[ReadyNotifier] = providers.Factory(
        "adapters_outbound.ready_callback.HttpReadyNotifier",
        settings.provided.callback_url,
        ids=ids,
        narrator=narrator,
    )

    backend = providers.Selector(
        settings.provided.backend,
        cuda=providers.Singleton("backends.cuda.backend.CudaBackend"),
        fake=providers.Singleton(
            "backends.fake.backend.FakeBackend",
            total_bytes=settings.provided.fake_vram_bytes,
            faults=settings.provided.fake_faults,
        ),
    )
    inference = providers.Singleton(InferenceThread)
    loader = providers.Factory(
        Loader,
        settings=settings,
        backend=backend,
        opener=providers.Factory(GgufModelFileOpener),
        clock=clock,
        story=process_story,
    )

    metrics = providers.Singleton(PrometheusMetrics, worker_id=settings.provided.worker_id)
    tracer = providers.Singleton(
        open_tracer, os.environ, narrator, version=VERSION, worker_id=settings.provided.worker_id
    )
    jobs = providers.Singleton(JobTable, NUM_SLOTS)
    health = providers.Singleton(Health)
    engine = providers.Singleton(
        Engine,
        jobs=jobs,
        health=health,
        clock=clock,
        storyteller=storyteller,
        inference_timeout_s=settings.provided.inference_timeout_sec,
        residency_check_s=settings.provided.residency_check_sec,
    )
    worker = providers.Singleton(
        Worker,
        engine=engine,
        wake_engine=inference.provided.wake,
        jobs=jobs,
        health=health,
        clock=clock,
        entropy=entropy,
        storyteller=storyteller,
    )
