"""What `/health` says (spec §16)."""

from typing import Literal

import msgspec

from domain.worker import Worker


class HealthReply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of `/health`. A fact the worker does not have is left out, unless the field must be there."""

    status: Literal["healthy", "unhealthy"]
    model: str
    resident: bool
    quant_kind: str
    vram_bytes_used: int
    tokenizer_kind: str
    vocab_size: int
    context_length: int | None
    uptime_seconds: int
    capabilities: tuple[str, ...]
    protocol: str
    worker_id: str
    architecture: str
    state: str
    effective_context_length: int
    memory_architecture: str
    eos_id: int | None = None
    bos_id: int | None = None
    sm: int | None = None
    cuda_runtime_version: str | None = None
    unhealthy_reason: str | None = None


def health_reply(worker: Worker) -> HealthReply:
    """Read cached state only: it neither waits for the device nor for the inference thread."""
    info, health = worker.info, worker.health
    return HealthReply(
        status="healthy" if health.healthy else "unhealthy",
        model=info.model,
        resident=health.resident,
        quant_kind=info.quant_kind,
        vram_bytes_used=health.vram_bytes_used,
        tokenizer_kind=info.tokenizer_kind,
        vocab_size=info.vocab_size,
        context_length=info.context_length,
        uptime_seconds=int(worker.uptime_s),
        capabilities=("text-gen",),
        protocol="sse",
        worker_id=info.worker_id,
        architecture=info.architecture,
        state=worker.state,
        effective_context_length=info.effective_context_length,
        memory_architecture="vram-only",
        eos_id=info.eos_token_id,
        bos_id=info.bos_token_id,
        sm=info.compute_capability,
        cuda_runtime_version=info.runtime_version,
        unhealthy_reason=health.ailment.value if health.ailment else None,
    )
