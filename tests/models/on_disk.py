"""A model file in memory, written to the disk."""

from pathlib import Path
from typing import cast

import numpy as np

from tests.models.memory_file import MemoryModelFile
from tools.gguf_export.metadata import WritableValue
from tools.gguf_export.writer import TensorToWrite, write_gguf


def write_model(path: Path, file: MemoryModelFile) -> None:
    """Write `file` as GGUF."""
    tensors = [
        TensorToWrite(
            tensor.name,
            tensor.shape,
            tensor.type,
            np.frombuffer(file.data, np.uint8, tensor.size_bytes, tensor.offset_bytes),
        )
        for tensor in file.tensors.values()
    ]
    write_gguf(path, metadata=cast("dict[str, WritableValue]", file.metadata), tensors=tensors)
