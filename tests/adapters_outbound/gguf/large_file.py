"""Files that are large and mostly holes, and what of them is mapped."""

import os
from pathlib import Path

from adapters_outbound.gguf.model_file import GgufModelFile
from adapters_outbound.gguf.opener import GgufModelFileOpener
from tests.adapters_outbound.gguf.gguf_bytes import GgufBytes, tensor

MIB = 2**20


def large_file(path: Path, size_bytes: int) -> GgufModelFile:
    """One tensor of `size_bytes`, all of it a hole in the file."""
    parts = GgufBytes(tensors=[tensor(dims=(size_bytes // 4,))], data=b"")
    path.write_bytes(parts.build())
    os.truncate(path, len(parts.build()) + size_bytes)
    return GgufModelFileOpener().open(str(path))


def mapped_file_bytes() -> int:
    """Resident memory of this process that belongs to files."""
    status = Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in status)
    return sum(int(fields[name].split()[0]) * 1024 for name in ("RssFile", "RssShmem"))
