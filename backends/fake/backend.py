"""A compute backend for machines without a GPU: the real model on the CPU, in a pretended device memory."""

from collections.abc import Sequence
from contextlib import ExitStack

from backends.fake.fault_injector import FaultInjector
from backends.fake.faults import Fault
from backends.fake.ledger import VramLedger
from backends.fake.model import FakeModel
from backends.fake.weight_loader import load_weights
from domain.errors import DeviceError, InvalidDevice, ModelLoadFailed
from domain.memory_plan import PREFILL_CHUNK_TOKENS
from ports.compute_backend import DeviceInfo, OnProgress
from ports.loaded_model import LoadedModel
from ports.memory import MemoryClass, MemoryPlan
from ports.model_description import ModelDescription
from ports.model_file import ModelFile

DEFAULT_TOTAL_BYTES = 24 * 2**30

_NAME = "CPU stand-in (NumPy)"


class FakeBackend:
    """A `ComputeBackend` of one device.

    Args:
        total_bytes: size of its pretended memory.
        faults: see `backends.fake.faults`.
    """

    def __init__(self, total_bytes: int = DEFAULT_TOTAL_BYTES, faults: Sequence[Fault] = ()) -> None:
        self._ledger = VramLedger(total_bytes)
        self._faults = FaultInjector(faults)

    def device_count(self) -> int:
        return 1

    def open_device(self, device_id: int) -> "FakeDevice":
        if device_id != 0:
            raise InvalidDevice(f"there is no device {device_id}; there is one, 0: {_NAME}")
        return FakeDevice(self._ledger, self._faults)


class FakeDevice:
    """A `Device` whose memory is a ledger."""

    def __init__(self, ledger: VramLedger, faults: FaultInjector) -> None:
        self._ledger = ledger
        self._faults = faults
        self._model: FakeModel | None = None
        self.is_closed = False

    def info(self) -> DeviceInfo:
        return DeviceInfo(0, _NAME, self._ledger.total_bytes, self._ledger.free_bytes, PREFILL_CHUNK_TOKENS)

    def load_model(
        self,
        description: ModelDescription,
        file: ModelFile,
        plan: MemoryPlan,
        *,
        chunk_bytes: int,
        on_progress: OnProgress,
    ) -> LoadedModel:
        if self.is_closed:
            raise DeviceError("the device is closed")
        if self._model is not None:
            raise ModelLoadFailed(f"{file.path}: the device holds a model already, and keeps it for life")
        with ExitStack() as memory:
            self._allocate(description, plan, memory)
            weights = load_weights(
                description, file, chunk_bytes=chunk_bytes, on_progress=self._uploading(on_progress)
            )
            self._model = FakeModel(
                weights, plan, ledger=self._ledger, memory=memory.pop_all(), faults=self._faults
            )
        return self._model

    def close(self) -> None:
        self.is_closed = True
        if self._model is not None:
            self._model.close()

    def _allocate(self, description: ModelDescription, plan: MemoryPlan, memory: ExitStack) -> None:
        """Take what a GPU would: every tensor as stored, the KV pool, the scratch space."""
        sizes = [(MemoryClass.WEIGHTS, tensor.size_bytes) for tensor in description.tensors]
        sizes.append((MemoryClass.KV_CACHE, plan.kv_cache_bytes))
        sizes.append((MemoryClass.SCRATCH, plan.scratch_bytes))
        for memory_class, size_bytes in sizes:
            self._faults.begin_allocation(size_bytes, is_load=True)
            memory.callback(self._ledger.free, self._ledger.allocate(memory_class, size_bytes))

    def _uploading(self, on_progress: OnProgress) -> OnProgress:
        """Count every piece as an upload, which may be ordered to fail. The first call reports none."""

        def report(done_bytes: int, total_bytes: int) -> None:
            if done_bytes:
                self._faults.begin_upload()
            on_progress(done_bytes, total_bytes)

        return report
