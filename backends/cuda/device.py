"""One opened NVIDIA device, and the one model that it holds."""

from contextlib import ExitStack, suppress

from backends.cuda.cache import default_cache_dir
from backends.cuda.compiler import Compiler
from backends.cuda.context import Context
from backends.cuda.kernel_set import KernelSet
from backends.cuda.loader import ModelLoader
from backends.cuda.memory import DeviceMemory
from backends.cuda.model import CudaModel
from backends.cuda.stream import Stream
from domain.errors import DeviceError, ModelLoadFailed
from ports.compute_backend import DeviceInfo, OnProgress
from ports.loaded_model import LoadedModel
from ports.memory import MemoryPlan
from ports.model_description import ModelDescription
from ports.model_file import ModelFile

_PREFILL_CHUNK_TOKENS = 512  # fills the tensor cores; a cancel waits for two chunks at most


class CudaDevice:
    """A `Device`. The thread that opens it owns its context."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._memory = DeviceMemory(context)
        self._model: CudaModel | None = None
        self._is_open = True

    def info(self) -> DeviceInfo:
        properties = self._context.properties
        major, minor = properties.compute_capability
        return DeviceInfo(
            device_id=properties.ordinal,
            name=properties.name,
            total_bytes=properties.total_bytes,
            free_bytes=self._context.free_bytes(),
            compute_capability=10 * major + minor,
            runtime_version=properties.cuda_version,
            features=properties.features.choices,
            prefill_chunk_tokens=_PREFILL_CHUNK_TOKENS,
        )

    def load_model(
        self,
        description: ModelDescription,
        file: ModelFile,
        plan: MemoryPlan,
        *,
        chunk_bytes: int,
        on_progress: OnProgress,
    ) -> LoadedModel:
        if not self._is_open:
            raise DeviceError("the device is closed")
        if self._model is not None:
            raise ModelLoadFailed(f"{file.path}: the device holds a model already, and keeps it for life")
        properties = self._context.properties
        with ExitStack() as undo:
            undo.callback(self._memory.close)
            stream = Stream()
            undo.callback(stream.close)
            kernels = KernelSet(Compiler(properties.arch, default_cache_dir()), properties)
            undo.callback(kernels.close)
            loader = ModelLoader(self._context, self._memory, kernels, stream)
            program = loader.load(description, file, plan, chunk_bytes=chunk_bytes, on_progress=on_progress)
            undo.pop_all()
        self._model = CudaModel(program, plan, context=self._context, memory=self._memory)
        return self._model

    def close(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        if self._model is not None:
            self._model.close()
        self._memory.close()
        with suppress(DeviceError):
            self._context.close()
