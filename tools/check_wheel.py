"""Build the wheel, install it into a fresh environment, and see it work there.

What works only from the source tree (a file not packaged, an import of a development tool) fails here.
"""

import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("domain", "ports", "adapters_inbound", "adapters_outbound", "backends", "app")
LOOK = f"""
import importlib, importlib.util, pkgutil
from importlib.resources import files
for name in {PACKAGES!r}:
    importlib.import_module(name)
    assert files(name).joinpath("py.typed").is_file(), f"{{name}} has no py.typed"
import backends.cuda.backend, backends.fake.backend, app.command, app.main
for module in pkgutil.iter_modules(backends.cuda.__path__):
    importlib.import_module(f"backends.cuda.{{module.name}}")
kernels = [file.name for file in files("backends.cuda.kernels").iterdir()]
assert any(name.endswith(".cu") for name in kernels), "the kernels are not packaged"
for tool in ("torch", "pytest", "cuda", "opentelemetry"):
    assert importlib.util.find_spec(tool) is None, f"{{tool}} came along"
"""


def main() -> None:
    """Build, install, look, run."""
    with tempfile.TemporaryDirectory() as folder:
        wheel = _build(Path(folder))
        print(f"built {wheel.name}, {wheel.stat().st_size:,} bytes; installing it into a fresh environment")
        python = _install(wheel, Path(folder) / "env")
        outside = Path(folder)  # the source tree must not be importable
        _run([python, "-c", LOOK], cwd=outside)
        _run([python.with_name("worker-orcd"), "--version"], cwd=outside)
        _run([python.with_name("worker-orcd"), "demo"], cwd=outside)


def _build(folder: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps"]
    _run([*pip, "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)], cwd=folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


def _install(wheel: Path, environment: Path) -> Path:
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    _run([*pip, "--constraint", str(ROOT / "constraints.txt"), str(wheel)], cwd=environment)
    return python


def _run(command: Sequence[str | Path], *, cwd: Path) -> None:
    subprocess.run(command, cwd=cwd, check=True)


if __name__ == "__main__":
    main()
