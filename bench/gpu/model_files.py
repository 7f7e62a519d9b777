"""The files that are measured: written where they are missing, and taken away where nobody keeps them."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.true_size.model_shape import MODELS
from tools.true_size.tensors import tensors_of
from tools.true_size.writer import write_true_size

ON_BOARD = "haiku"
NAMES = (ON_BOARD, *MODELS)
_ON_BOARD_PATH = Path(__file__).parents[2] / "app" / "models" / "haiku-q4_k_m.gguf"
_IN_MEMORY = Path("/dev/shm")


@contextmanager
def model_file(name: str, directory: Path | None) -> Iterator[Path]:
    """The file of the model `name`: in `directory`, to stay, or in a temporary one, in memory if it fits.

    Raises:
        OSError: it could not be written.
    """
    if name == ON_BOARD:
        yield _ON_BOARD_PATH
        return
    if directory is not None:
        yield _written(directory / MODELS[name].file_name, name)
        return
    with tempfile.TemporaryDirectory(dir=_roomy_place(name), prefix="bench-gpu-") as temporary:
        yield _written(Path(temporary) / MODELS[name].file_name, name)


def _written(path: Path, name: str) -> Path:
    if not path.exists():
        write_true_size(path, MODELS[name])
    return path


def _roomy_place(name: str) -> Path | None:
    """Memory, where twice the file would fit into what is free; None is the system's choice."""
    size_bytes = sum(entry.size_bytes for entry in tensors_of(MODELS[name]))
    if not _IN_MEMORY.is_dir():
        return None
    free_bytes = min(shutil.disk_usage(_IN_MEMORY).free, _available_memory_bytes())
    return _IN_MEMORY if free_bytes > 2 * size_bytes else None


def _available_memory_bytes() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith("MemAvailable:"))
    return int(kilobytes) * 1024
