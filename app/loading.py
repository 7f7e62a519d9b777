"""Steps 2 and 3 of the start: device, model file, tokenizer, memory plan, upload."""

from dataclasses import dataclass

from app.process_story import ProcessStory
from app.settings import Settings
from app.tokenizer_choice import TokenizerChoice, choose_tokenizer
from domain.architectures import describe
from domain.errors import InsufficientVram, ModelLoadFailed, ResidencyLost, VramExhausted
from domain.load_progress import LoadProgress
from domain.memory_plan import plan_memory
from ports.clock import Clock
from ports.compute_backend import ComputeBackend, Device, DeviceInfo, OnProgress
from ports.loaded_model import LoadedModel
from ports.memory import MemoryPlan
from ports.model_description import ModelDescription
from ports.model_file import ModelFile, ModelFileOpener
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
        opener: ModelFileOpener,
        clock: Clock,
        story: ProcessStory,
    ) -> None:
        self._settings = settings
        self._backend = backend
        self._opener = opener
        self._clock = clock
        self._story = story

    def load(self, on_progress: OnProgress) -> Loaded:
        """Load and verify.

        Raises:
            DeviceNotFound, InvalidDevice, DeviceError: the device cannot be used.
            ModelLoadFailed: the file cannot be served.
            InsufficientVram: it does not fit.
        """
        device = self._backend.open_device(self._settings.gpu_device)
        try:
            return self._load_onto(device, on_progress)
        except BaseException:
            device.close()
            raise

    def _load_onto(self, device: Device, on_progress: OnProgress) -> Loaded:
        started_at_s = self._clock.monotonic_s()
        info = device.info()
        file = self._opener.open(self._settings.model)
        try:
            choice = choose_tokenizer(file, self._settings.tokenizer)
            self._story.load_start(info, choice)
            description = describe(file)
            tokenizer = _build_tokenizer(choice, file, description)
            plan = self._plan(description, info)
            model = self._upload(device, description, file, plan, on_progress)
        finally:
            file.close()
        load_s = self._clock.monotonic_s() - started_at_s
        self._story.load_complete(description, model.memory(), load_s)
        return Loaded(device, info, model, description, plan, tokenizer, load_s)

    def _plan(self, description: ModelDescription, info: DeviceInfo) -> MemoryPlan:
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
        file: ModelFile,
        plan: MemoryPlan,
        on_progress: OnProgress,
    ) -> LoadedModel:
        milestones = LoadProgress(self._story.load_progress)

        def progress(done_bytes: int, total_bytes: int) -> None:
            on_progress(done_bytes, total_bytes)
            milestones.update(done_bytes, total_bytes)

        try:
            model = device.load_model(
                description, file, plan, chunk_bytes=self._settings.load_chunk_bytes, on_progress=progress
            )
        except VramExhausted as error:
            # The plan fitted the free memory that was reported; someone else took it meanwhile.
            raise InsufficientVram(
                required_bytes=plan.total_bytes,
                available_bytes=device.info().free_bytes,
                gpu_device=device.info().device_id,
                path=self._settings.model,
            ) from error
        if not model.check_residency():
            model.close()
            raise ResidencyLost("the model is not wholly in the device's own memory after loading")
        return model


def _build_tokenizer(choice: TokenizerChoice, file: ModelFile, description: ModelDescription) -> Tokenizer:
    tokenizer = choice.build(file)
    if tokenizer.vocab_size > description.vocab_size:
        raise ModelLoadFailed(
            f"{choice.json_path or file.path}: the tokenizer has {tokenizer.vocab_size} ids, the model takes "
            f"{description.vocab_size}: they do not belong together",
            model_path=file.path,
        )
    return tokenizer
