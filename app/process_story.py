"""The sentences about the process itself: start, load, ready, failure, shutdown."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from app.settings import Settings
from domain.errors import WorkerError
from ports.narrator import Level, Narrator

if TYPE_CHECKING:
    from app.tokenizer_choice import TokenizerChoice
    from ports.compute_backend import DeviceInfo
    from ports.memory import MemoryReport
    from ports.model_description import ModelDescription


class ProcessStory:
    """Narrates the life of the process."""

    def __init__(self, narrator: Narrator, settings: Settings) -> None:
        self._narrator = narrator
        self._settings = settings

    def startup(self, version: str) -> None:
        self._narrator.narrate(
            "startup", f"starting worker-orcd {version}", version=version, backend=self._settings.backend
        )

    def load_start(self, device: "DeviceInfo", tokenizer: "TokenizerChoice") -> None:
        self._narrator.narrate(
            "model_load_start",
            f"loading the model onto {device.name}",
            model_path=self._settings.model,
            device_name=device.name,
            vram_total_bytes=device.total_bytes,
            vram_free_bytes=device.free_bytes,
            compute_capability=device.compute_capability,
            device_features=device.features or None,
            tokenizer_kind=tokenizer.kind,
            tokenizer_reason=tokenizer.reason,
        )

    def load_progress(self, percent: int) -> None:
        self._narrator.narrate("model_load_progress", f"loaded {percent} percent", percent=percent)

    def load_complete(self, model: "ModelDescription", memory: "MemoryReport", elapsed_s: float) -> None:
        self._narrator.narrate(
            "model_load_complete",
            f"loaded {model.name[:40]}: {memory.used_bytes / 2**20:.1f} MiB of device memory",
            model=model.name,
            architecture=model.architecture,
            quant_kind=model.quant_kind,
            vram_bytes=memory.used_bytes,
            weights_bytes=memory.weights_bytes,
            kv_cache_bytes=memory.kv_cache_bytes,
            scratch_bytes=memory.scratch_bytes,
            load_ms=round(1000 * elapsed_s),
        )

    def ready(self, uri: str, *, startup_s: float, vram_bytes: int) -> None:
        self._narrator.narrate(
            "ready",
            f"serving at {uri}",
            uri=uri,
            port=int(uri.rsplit(":", 1)[1]),
            startup_ms=round(1000 * startup_s),
            vram_bytes=vram_bytes,
        )

    def failure(self, error: WorkerError) -> None:
        facts: Mapping[str, object] = {"model_path": self._settings.model, **error.facts}
        self._narrator.narrate(
            "error",
            f"cannot start: {error.code}",
            level=Level.ERROR,
            error_kind=error.code,
            error_message=error.message,
            **_plain(facts),
        )

    def shutdown(self, reason: str, *, correlation_id: str | None) -> None:
        self._narrator.narrate("shutdown", f"leaving: {reason}", reason=reason, correlation_id=correlation_id)


def _plain(facts: Mapping[str, object]) -> dict[str, str | int | float]:
    """The facts that JSON can say as they are; anything else as its text."""
    return {
        name: value if isinstance(value, str | int | float) else str(value) for name, value in facts.items()
    }
