"""`worker-orcd --version --verbose`: what to say of an installation when something is wrong with it."""

import platform
import re
from collections.abc import Iterator
from importlib import metadata

from backends.cuda.versions import describe_machine

_PACKAGE = "worker-orcd"
_EXTRAS = ("cuda", "otel")  # what a worker that serves may import


def run_version() -> int:
    """Print all versions and what there is for the CUDA backend. Returns the exit status, 0."""
    print(f"{_PACKAGE} {metadata.version(_PACKAGE)}")  # noqa: T201 for the person
    print(f"Python {platform.python_version()}, {platform.platform()}")  # noqa: T201
    for name in _libraries():
        print(f"  {name} {_version(name)}")  # noqa: T201
    for line in describe_machine():
        print(line)  # noqa: T201
    return 0


def _libraries() -> Iterator[str]:
    """The packages that this one asks for, with the extras that a worker may use."""
    for requirement in metadata.requires(_PACKAGE) or ():
        package, _, condition = requirement.partition(";")
        extra = re.search(r"extra == ['\"](.+?)['\"]", condition)
        if extra is None or extra[1] in _EXTRAS:
            yield re.split(r"[^A-Za-z0-9._-]", package, maxsplit=1)[0]


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "is not installed"
