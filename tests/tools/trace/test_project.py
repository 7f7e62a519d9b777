"""What the specification asks of the project itself: its pages, its pins, its gate, its local settings."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from app.settings import merge

ROOT = Path(__file__).resolve().parents[3]


def section(heading: str) -> str:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    text = readme.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    assert text, f"the README has no section {heading!r}"
    return " ".join(text.split())


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.req("M0-W-1040", "SYS-2.3.3")
def test_the_readme_says_which_combinations_were_verified() -> None:
    table = section("Reproducibility").partition("| model | device | driver | verified |")[2]

    assert "CPU stand-in" in table


@pytest.mark.req("M0-W-1040", "SYS-2.3.4")
def test_the_readme_promises_no_equality_across_devices() -> None:
    assert "Equality across different devices is not promised." in section("Reproducibility")


@pytest.mark.req("M0-SYS-2.3.2")
def test_every_library_is_pinned_to_one_version() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {normal(re.split(r"[^A-Za-z0-9._-]", line)[0]) for line in declared} - {project["name"]}

    assert [] == [pin for pin in pins if "==" not in pin]
    assert names <= {normal(pin.partition("==")[0]) for pin in pins}


@pytest.mark.req("SYS-12.3.1")
def test_the_one_gate_runs_every_check() -> None:
    command = ["make", "--dry-run", "--silent", "test"]
    dry_run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    for check in (
        "ruff format --check .",
        "ruff check .",
        "bin/mypy",
        "lint-imports",
        "tools.trace --check",
        'pytest -m "not gpu"',
        "tools/check_wheel.py",
    ):
        assert check in dry_run


@pytest.mark.req("SYS-12.3.1")
def test_without_a_gpu_the_gate_leaves_out_nothing_but_what_needs_one() -> None:
    options = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"][
        "ini_options"
    ]

    assert ["tests"] == options["testpaths"]
    assert not {"-k", "--ignore", "--deselect"} & set(options["addopts"].split())


@pytest.mark.req("M0-W-1701")
def test_the_local_settings_are_options_of_the_worker_below_flags_and_variables() -> None:
    local = {"LLORCH_CONFIG": str(ROOT / ".llorch.yaml.example")}

    from_file, _, missing = merge({}, local)
    merged, *_ = merge({"gpu_device": 1}, {**local, "LLORCH_WORKER_MODEL": "/other.gguf"})

    assert [] == list(missing)
    assert (0, "/models/qwen2.5-0.5b-instruct-q4_k_m.gguf") == (from_file["gpu_device"], from_file["model"])
    assert (1, "/other.gguf", 9001) == (merged["gpu_device"], merged["model"], merged["port"])


@pytest.mark.req("M0-W-1701")
def test_git_ignores_the_local_settings() -> None:
    assert ".llorch.yaml" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
