"""Kernels from source to machine code: NVRTC behind a persistent cache."""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from backends.cuda.cache import CubinCache
from backends.cuda.cubin import Cubin
from backends.cuda.program import compile_kernel, nvrtc_version, package_version

_OPTIONS = (
    "--std=c++17",
    "--device-as-default-execution-space",  # plain functions in headers are device functions
    "--ptxas-options=-v",  # the assembler reports registers, spills, stack and shared memory
)


@dataclass(frozen=True, slots=True)
class KernelSource:
    """One kernel: a file and a name expression in it, such as "matvec.cu" and "matvec<Q4_K, 2>"."""

    file: str
    name: str


class Compiler:
    """Compiles the kernels of this package for one architecture.

    Args:
        arch: a real architecture, such as "sm_90".
        cache_dir: where machine code is kept; None keeps nothing.
        directories: where files are looked for before this package's own kernels.

    Raises:
        DeviceNotFound: the compiler is not installed.
    """

    def __init__(self, arch: str, cache_dir: Path | None, directories: Sequence[Traversable] = ()) -> None:
        self.num_compiled = 0  # not taken from the cache
        self._directories = (*directories, files("backends.cuda.kernels"))
        self._headers = self._read_headers()
        self._options = (f"--gpu-architecture={arch}", *_OPTIONS)
        headers = (part for header in self._headers.items() for part in header)
        # Of what all kernels have in common, which is the most of it.
        self._common_digest = _digest(package_version(), *self._options, *headers)
        self._cache = CubinCache(cache_dir)

    def compile(self, sources: Iterable[KernelSource]) -> dict[KernelSource, Cubin]:
        """The machine code of each kernel; those not in the cache are compiled in parallel.

        Raises:
            DeviceError: one does not compile; the message holds its name and the compiler's log.
            DeviceNotFound: the compiler is not installed, and a kernel is not in the cache.
        """
        wanted = list(dict.fromkeys(sources))
        texts = {file: self._read(file) for file in {source.file for source in wanted}}
        keys = {source: self._key(source, texts[source.file]) for source in wanted}
        cubins = {source: cubin for source in wanted if (cubin := self._cache.load(keys[source]))}
        missing = [source for source in wanted if source not in cubins]
        if missing:
            nvrtc_version()  # says what is wrong with the compiler, if anything, before threads do
        with ThreadPoolExecutor(_num_cores()) as threads:  # NVRTC runs outside the interpreter lock
            for source, cubin in zip(
                missing,
                threads.map(lambda source: self._compile(source, texts[source.file]), missing),
                strict=True,
            ):
                self._cache.store(keys[source], cubin)
                cubins[source] = cubin
        self.num_compiled += len(missing)
        return cubins

    def _compile(self, source: KernelSource, text: str) -> Cubin:
        return compile_kernel(
            file=source.file, text=text, name=source.name, headers=self._headers, options=self._options
        )

    def _key(self, source: KernelSource, text: str) -> str:
        """A digest of all that the machine code depends on."""
        return _digest(self._common_digest, source.file, source.name, text)

    def _read(self, file: str) -> str:
        for directory in self._directories:
            if (path := directory / file).is_file():
                return path.read_text(encoding="utf-8")
        raise FileNotFoundError(f"no kernel file {file}")

    def _read_headers(self) -> dict[str, str]:
        """Every header: there are few, and which of them a file includes only the compiler knows."""
        names = {
            path.name
            for directory in self._directories
            for path in directory.iterdir()
            if path.name.endswith(".cuh")
        }
        return {name: self._read(name) for name in sorted(names)}


def _digest(*parts: str) -> str:
    digest = sha256()
    for part in parts:
        digest.update(f"{len(part)}:{part}".encode())
    return digest.hexdigest()


def _num_cores() -> int:
    return len(os.sched_getaffinity(0))
