"""Put the worker together around a loaded model."""

from app.container import Container
from app.loading import Loaded
from app.settings import Settings
from domain.worker import Limits, Worker
from domain.worker_info import WorkerInfo
from ports.memory import MemoryPlan


def assemble_worker(container: Container, loaded: Loaded) -> Worker:
    """Wire engine and use cases to the loaded model, and let the inference thread serve them."""
    settings = container.settings()
    info = _info(settings, loaded)
    metrics = container.metrics(
        quant_kind=info.quant_kind, num_active_experts=loaded.description.num_active_experts
    )
    engine = container.engine(model=loaded.model, tokenizer=loaded.tokenizer, metrics=metrics)
    worker: Worker = container.worker(info=info, limits=_limits(settings, loaded), tokenizer=loaded.tokenizer)
    metrics.watch(worker.gauges)
    container.inference().serve(engine)
    return worker


def _limits(settings: Settings, loaded: Loaded) -> Limits:
    max_model_len = _effective_context_length(loaded.plan)
    return Limits(
        max_model_len=max_model_len,
        max_tokens_in=settings.max_tokens_in or max_model_len,
        max_tokens_out=settings.max_tokens_out,
        vocab_size=loaded.description.vocab_size,
    )


def _info(settings: Settings, loaded: Loaded) -> WorkerInfo:
    description, tokenizer, device = loaded.description, loaded.tokenizer, loaded.device_info
    return WorkerInfo(
        worker_id=settings.worker_id,
        model="-".join(description.name.lower().split()),
        model_ref=settings.model_ref or f"file:{settings.model}",
        architecture=description.architecture,
        quant_kind=description.quant_kind,
        tokenizer_kind=tokenizer.kind,
        vocab_size=description.vocab_size,
        context_length=description.context_length,
        effective_context_length=_effective_context_length(loaded.plan),
        gpu_device=settings.gpu_device,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
        compute_capability=device.compute_capability,
        runtime_version=device.runtime_version,
    )


def _effective_context_length(plan: MemoryPlan) -> int:
    """Positions that a job may have: the model's, as far as the KV pool holds them."""
    return min(plan.max_model_len, plan.num_kv_pages * plan.page_tokens)
