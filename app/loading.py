"""Steps 2 and 3 of the start: device, model file, tokenizer, memory plan, upload."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from domain.errors import InsufficientVram, ModelLoadFailed, ResidencyLost, VramExhausted, WorkerError
from domain.load_progress import LoadProgress

if TYPE_CHECKING:  # NumPy comes with most of them, and the device is to be opened before
    from app.file_reading import FileReading
    from app.process_story import ProcessStory
    from app.settings import Settings
    from ports.clock import Clock
    from ports.compute_backend import ComputeBackend, Device, DeviceInfo, OnProgress
    from ports.loaded_model import LoadedModel
    from ports.memory import MemoryPlan
    from ports.model_description import ModelDescription
    from ports.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model on its device, and what belongs to it."""

    device: Device
    device_info: DeviceInfo
    model: LoadedModel
    description: ModelDescription
    plan: MemoryPlan
    tokenizer: Tokenizer
    load_s: float

    def close(self) -> None:
        """Free everything on the device. In the thread that loaded it."""
        self.model.close()
        self.device.close()


class Loader:
    """Loads the one model of this process. Runs in the inference thread."""

    def __init__(
        self,
        *,
        settings: Settings,
        backend: ComputeBackend,
        clock: Clock,
        story: ProcessStory,
    ) -> None:
        self._settings = settings
        self._backend = backend
        self._clock = clock
        self._story = story

    def load(self, reading: FileReading, on_progress: OnProgress) -> Loaded:
        """Load and verify what is being read, and close it, however it ends.

        Raises:
            DeviceNotFound, InvalidDevice, DeviceError: the device cannot be used.
            ModelLoadFailed: the file cannot be served.
            InsufficientVram: it does not fit.
        """
        with ExitStack() as undo:
            undo.callback(reading.close)
            device = self._backend.open_device(self._settings.gpu_device)
            undo.callback(device.close)
            loaded = self._load_onto(device, reading, on_progress)
            reading.close()
            self._story.load_complete(loaded.description, loaded.model.memory(), loaded.load_s)
            undo.pop_all()
        return loaded

    def _load_onto(self, device: Device, reading: FileReading, on_progress: OnProgress) -> Loaded:
        from domain.architectures import describe  # noqa: PLC0415 as above

        started_at_s = self._clock.monotonic_s()
        info = device.info()
        self._story.load_start(info, reading.choice())
        description = describe(reading.file())
        try:
            plan = self._plan(description, info)
            model = self._upload(device, description, reading, plan, on_progress)
        except WorkerError:
            self._tokenizer(reading, description)  # what is wrong with it comes first
            raise
        tokenizer = self._tokenizer(reading, description)
        load_s = self._clock.monotonic_s() - started_at_s
        return Loaded(device, info, model, description, plan, tokenizer, load_s)

    def _tokenizer(self, reading: FileReading, description: ModelDescription) -> Tokenizer:
        tokenizer = reading.tokenizer()
        if tokenizer.vocab_size > description.vocab_size:
            path = reading.choice().json_path or self._settings.model
            raise ModelLoadFailed(
                f"{path}: the tokenizer has {tokenizer.vocab_size} ids, the model takes "
                f"{description.vocab_size}: they do not belong together",
                model_path=self._settings.model,
            )
        return tokenizer

    def _plan(self, description: ModelDescription, info: DeviceInfo) -> MemoryPlan:
        from domain.memory_plan import plan_memory  # noqa: PLC0415 as above

        size_mb = self._settings.kv_cache_size_mb
        return plan_memory(
            description,
            free_bytes=info.free_bytes,
            kv_cache_bytes=None if size_mb is None else size_mb * 2**20,
            gpu_device=info.device_id,
            path=self._settings.model,
            prefill_chunk_tokens=info.prefill_chunk_tokens,
        )

    def _upload(
        self,
        device: Device,
        description: ModelDescription,
        reading: FileReading,
        plan: MemoryPlan,
        on_progress: OnProgress,
    ) -> LoadedModel:
        milestones = LoadProgress(self._story.load_progress)

        def progress(done_bytes: int, total_bytes: int) -> None:
            reading.check()
            on_progress(done_bytes, total_bytes)
            milestones.update(done_bytes, total_bytes)

        try:
            model = device.load_model(
                description,
                reading.file(),
                plan,
                chunk_bytes=self._settings.load_chunk_bytes,
                on_progress=progress,
            )
        except VramExhausted as error:
            # The plan fitted the free memory that was reported; the error counts one allocation alone.
            device_id = device.info().device_id
            raise InsufficientVram(
                f"needs {plan.total_bytes} bytes of device memory, which device {device_id} had before the "
                "load and then did not give: something else has taken them, or they are in pieces",
                required_bytes=error.required_bytes,
                available_bytes=error.available_bytes,
                gpu_device=device_id,
                path=self._settings.model,
            ) from error
        if not model.check_residency():
            model.close()
            raise ResidencyLost("the model is not wholly in the device's own memory after loading")
        return model
