"""Compiled kernels on disk, so that a second start compiles nothing.

One file a kernel: a checksum, a line of JSON, the machine code. A file that is cut short or damaged counts as
none, and so does a directory that cannot be written. Nothing is ever deleted: a kernel takes some 20 KB, and
the directory may be emptied at any time.
"""

import json
import os
import tempfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from backends.cuda.cubin import Cubin


def default_cache_dir() -> Path | None:
    """$XDG_CACHE_HOME/worker-orcd/kernels, below ~/.cache if that is not set; None for a user without a home.

    Source: XDG Base Directory Specification.
    """
    configured = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(configured):
        return Path(configured) / "worker-orcd" / "kernels"
    try:
        return Path.home() / ".cache" / "worker-orcd" / "kernels"
    except RuntimeError:
        return None


class CubinCache:
    """Kernels by the digest of everything that went into them. Any number of processes may share one."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

    def load(self, key: str) -> Cubin | None:
        if self._directory is None:
            return None
        try:
            checksum, _, payload = (self._directory / key).read_bytes().partition(b"\n")
        except OSError:
            return None
        if checksum != _checksum(payload):
            return None
        header, _, image = payload.partition(b"\n")
        return Cubin(image=image, **json.loads(header))

    def store(self, key: str, cubin: Cubin) -> None:
        if self._directory is None:
            return
        header = json.dumps({"symbol": cubin.symbol, "log": cubin.log}).encode()
        payload = header + b"\n" + cubin.image
        with suppress(OSError):
            self._directory.mkdir(parents=True, exist_ok=True)
            _write_whole(self._directory / key, _checksum(payload) + b"\n" + payload)


def _checksum(payload: bytes) -> bytes:
    return sha256(payload).hexdigest().encode()


def _write_whole(path: Path, content: bytes) -> None:
    """Readers see all of it or nothing: it appears under its name once it is complete."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
