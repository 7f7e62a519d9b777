"""Files for the reader, and where the large ones lie."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters_outbound.gguf.model_file import GgufModelFile
from adapters_outbound.gguf.opener import GgufModelFileOpener
from domain.errors import ModelLoadFailed


@pytest.fixture
def open_bytes(tmp_path: Path) -> Callable[[bytes], GgufModelFile]:
    """Open a file of these bytes."""

    def open_bytes(data: bytes) -> GgufModelFile:
        path = tmp_path / "model.gguf"
        path.write_bytes(data)
        return GgufModelFileOpener().open(str(path))

    return open_bytes


@pytest.fixture
def refusal(open_bytes: Callable[[bytes], GgufModelFile]) -> Callable[[bytes], ModelLoadFailed]:
    """The error that a file of these bytes gives."""

    def refusal(data: bytes) -> ModelLoadFailed:
        with pytest.raises(ModelLoadFailed) as caught:
            open_bytes(data)
        return caught.value

    return refusal


@pytest.fixture
def vocabularies() -> Path:
    """The folder of real vocabularies; the test is skipped where there is none."""
    root = Path(__file__).resolve().parents[3]
    data = Path(os.environ.get("WORKER_ORCD_TEST_DATA", root.parent / "shared" / "data"))
    folder = data / "vocab"
    if not folder.is_dir():
        pytest.skip(f"no real vocabularies at {folder}; set WORKER_ORCD_TEST_DATA")
    return folder
