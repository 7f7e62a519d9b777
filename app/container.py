"""The composition root: which class plays which part."""

import os
from collections.abc import Callable
from importlib import import_module
from typing import Any

from dependency_injector import containers, providers

from adapters_outbound.narration.loguru_narrator import LoguruNarrator
from adapters_outbound.system import SystemClock, SystemEntropy, SystemIds
from adapters_outbound.tracing.choice import open_tracer
from app.file_reading import FileReading
from app.inference_thread import InferenceThread
from app.loading import Loader
from app.process_story import ProcessStory
from app.settings import Settings
from app.version import VERSION
from domain.health import Health
from domain.job_table import JobTable
from ports.ready_notifier import ReadyNotifier

NUM_SLOTS = 1  # M0-W-1301: never two inferences at once


def _late(module: str, name: str) -> Callable[..., Any]:
    """The class of that name, imported when it is first called: a provider of a name imports it at once."""

    def make(*args: Any, **kwargs: Any) -> Any:
        return getattr(import_module(module), name)(*args, **kwargs)

    return make


class Container(containers.DeclarativeContainer):
    """Everything that lives as long as the process. What brings a library along is imported when it is made:
    a backend only if it is chosen, the rest in parallel to the device's opening.
    """

    settings: providers.Dependency[Settings] = providers.Dependency(instance_of=Settings)
    identity: providers.Dependency[dict[str, object]] = providers.Dependency(instance_of=dict)

    clock = providers.Singleton(SystemClock)
    entropy = providers.Singleton(SystemEntropy)
    ids = providers.Singleton(SystemIds)
    narrator = providers.Singleton(LoguruNarrator, clock, version=VERSION, identity=identity)
    process_story = providers.Singleton(ProcessStory, narrator, settings)
    storyteller = providers.Singleton(_late("domain.storyteller", "Storyteller"), narrator)
    ready_notifier: providers.Factory[ReadyNotifier] = providers.Factory(
        _late("adapters_outbound.ready_callback", "HttpReadyNotifier"),
        settings.provided.callback_url,
        ids=ids,
        narrator=narrator,
    )

    backend = providers.Selector(
        settings.provided.backend,
        cuda=providers.Singleton(_late("backends.cuda.backend", "CudaBackend")),
        fake=providers.Singleton(
            _late("backends.fake.backend", "FakeBackend"),
            total_bytes=settings.provided.fake_vram_bytes,
            faults=settings.provided.fake_faults,
        ),
    )
    # What a device brings along, which `open_device` imports as late as it can.
    device_modules = providers.Selector(
        settings.provided.backend,
        cuda=providers.Object(("backends.cuda.device",)),
        fake=providers.Object(()),
    )
    inference = providers.Singleton(InferenceThread)
    file_reading = providers.Factory(
        FileReading,
        make_opener=providers.Factory(_late("adapters_outbound.gguf.opener", "GgufModelFileOpener")).provider,
        path=settings.provided.model,
        tokenizer_option=settings.provided.tokenizer,
    )
    loader = providers.Factory(
        Loader,
        settings=settings,
        backend=backend,
        clock=clock,
        story=process_story,
    )

    metrics = providers.Singleton(
        _late("adapters_outbound.prometheus_metrics", "PrometheusMetrics"),
        worker_id=settings.provided.worker_id,
    )
    tracer = providers.Singleton(
        open_tracer, os.environ, narrator, version=VERSION, worker_id=settings.provided.worker_id
    )
    jobs = providers.Singleton(JobTable, NUM_SLOTS)
    health = providers.Singleton(Health)
    engine = providers.Singleton(
        _late("domain.engine", "Engine"),
        jobs=jobs,
        health=health,
        clock=clock,
        storyteller=storyteller,
        inference_timeout_s=settings.provided.inference_timeout_sec,
        residency_check_s=settings.provided.residency_check_sec,
    )
    worker = providers.Singleton(
        _late("domain.worker", "Worker"),
        engine=engine,
        wake_engine=inference.provided.wake,
        jobs=jobs,
        health=health,
        clock=clock,
        entropy=entropy,
        storyteller=storyteller,
    )
