"""A model file loaded through the port, by the backend of a name."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from adapters_outbound.gguf.opener import GgufModelFileOpener
from domain.architectures import describe
from domain.memory_plan import plan_memory
from ports.compute_backend import Device
from ports.loaded_model import LoadedModel
from ports.memory import MemoryPlan
from ports.model_description import ModelDescription
from tests.support.backends import make_backend

ModelPath = Callable[[str], Path]  # of the file of a name in `tools.true_size`


@dataclass(frozen=True)
class Opened:
    """A loaded model, and what the device had left before it was."""

    model: LoadedModel
    description: ModelDescription
    plan: MemoryPlan
    free_bytes: int


@contextmanager
def opened(
    backend: str,
    path: str,
    *,
    available_bytes: int | None = None,
    kv_tokens: int | None = None,
    chunk_tokens: int | None = None,
) -> Iterator[Opened]:
    """Load the file; everything is freed at the end.

    Args:
        backend: its name.
        path: of the model.
        available_bytes: what the plan must do with; None is what the device has.
        kv_tokens: positions the KV pool holds; None is as many as are of use.
        chunk_tokens: of a prompt at once; None is as the device wishes.
    """
    device = make_backend(backend).open_device(0)
    try:
        loaded = _load(
            device, path, available_bytes=available_bytes, kv_tokens=kv_tokens, chunk_tokens=chunk_tokens
        )
        yield loaded
        loaded.model.close()
    finally:
        device.close()


def _load(
    device: Device,
    path: str,
    *,
    available_bytes: int | None,
    kv_tokens: int | None,
    chunk_tokens: int | None,
) -> Opened:
    file = GgufModelFileOpener().open(path)
    try:
        description, info = describe(file), device.info()
        plan = plan_memory(
            description,
            free_bytes=info.free_bytes if available_bytes is None else available_bytes,
            gpu_device=0,
            path=path,
            kv_cache_bytes=None if kv_tokens is None else kv_tokens * description.kv_bytes_per_token,
            prefill_chunk_tokens=chunk_tokens or info.prefill_chunk_tokens,
        )
        model = device.load_model(
            description, file, plan, chunk_bytes=2**20, on_progress=lambda _done, _total: None
        )
    finally:
        file.close()
    return Opened(model, description, plan, info.free_bytes)
