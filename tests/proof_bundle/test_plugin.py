"""The plugin, in a pytest of its own on a tiny suite of every kind of outcome."""

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from adapters_outbound.proof_bundle.integrity import check_integrity
from tests.proof_bundle.environment import ROOT

# The specification tells PB-1001 to PB-1012 as one text; only the header rule, the last, is told apart there.
RULES = [f"PB-{number}" for number in range(1001, 1013)]
pytestmark = pytest.mark.req("M0-W-1840", "SYS-10.4.1", "SYS-12.2.2", "SYS-2.3.5", *RULES)

SUITE = """
import pytest
from hypothesis import given, settings, strategies

@pytest.mark.parametrize("seed", [3, 2**64 - 1])
def test_drawn(seed): pass

@settings(max_examples=1, database=None)
@given(strategies.integers())
def test_property(number): pass

def test_skipped(): pytest.skip("no such device")

def test_failing(): assert "Authorization: Bearer abcdef0123456789" == ""

def test_streaming(proof):
    stream = proof.stream({"job_id": "j", "temperature": 0.5})
    stream.event("started", {"seed": 9, "correlation_id": "cid", "job_id": "j"})
    stream.event("token", {"t": "a\\u2028b", "i": 0, "ids": [1]})
    stream.event("end", {"seed": 9})
    proof.add("error_mapping_table.md", error="A|B", status=400)
"""
MEASURED = re.compile(r"_ms$|_time$|^ts$|^at_s$")


def run_suite(folder: Path, proof_folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run the same tests as a unit suite and as a contract suite."""
    for place in ("tests/domain", "tests/http"):
        (folder / place).mkdir(parents=True, exist_ok=True)
        (folder / place / "test_suite.py").write_text(SUITE)
    arguments = ["--rootdir", str(folder), "-p", "tests.proof_bundle.plugin", "-p", "no:cacheprovider"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--import-mode=importlib", *arguments, "tests"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "LLORCH_PROOF_DIR": str(proof_folder), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """What the same suite left behind in two runs."""
    folder = tmp_path_factory.mktemp("suite")
    for number in ("first", "second"):
        result = run_suite(folder, folder / number, LLORCH_RUN_ID="run-1")
        assert 1 == result.returncode, result.stdout
        assert f"proof bundles in {folder / number}/*/run-1: contract, unit" in result.stdout
    return folder / "first", folder / "second"


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def records(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_times(each) for key, each in value.items() if not MEASURED.search(key)}
    return [without_times(each) for each in value] if isinstance(value, list) else value


def test_equal_runs_leave_equal_files_with_equal_records(runs: tuple[Path, Path]) -> None:
    first, second = runs

    assert files(first) == files(second)
    for name in files(first):
        if name.endswith("json"):
            assert without_times(load(first / name)) == without_times(load(second / name)), name
        elif name.endswith(".md"):
            assert (first / name).read_text() == (second / name).read_text()


def load(path: Path) -> Any:
    return records(path) if path.suffix == ".ndjson" else json.loads(path.read_text())


def test_a_bundle_has_what_its_type_asks_for(runs: tuple[Path, Path]) -> None:
    of_all = {
        "README.md",
        "metadata.json",
        "seeds.ndjson",
        "transcript.ndjson",
        "timings.json",
        "test_report.md",
    }
    integrity = {"manifest.sha256", "provenance.json"}
    added = {"error_mapping_table.md"}  # by a test of the suite

    assert of_all | integrity | added | {"redacted_errors.ndjson"} == set(files(runs[0] / "unit/run-1"))
    assert of_all | integrity | added | {"sse_fixtures.ndjson"} == set(files(runs[0] / "contract/run-1"))


def test_every_bundle_is_sound_and_readable_by_its_owner_only(runs: tuple[Path, Path]) -> None:
    for bundle_type in ("unit", "contract"):
        bundle = runs[0] / bundle_type / "run-1"

        assert [] == check_integrity(bundle)
        assert {0o600} == {stat.S_IMODE(path.stat().st_mode) for path in bundle.rglob("*") if path.is_file()}


def test_seeds_of_parameters_properties_and_requests_are_noted(runs: tuple[Path, Path]) -> None:
    _, *seeds = records(runs[0] / "unit/run-1/seeds.ndjson")

    assert [
        (3, "parameter"),
        (2**64 - 1, "parameter"),
        ("derived from the test (derandomize)", "hypothesis"),
        (9, "request"),
    ] == [(seed["seed"], seed["source"]) for seed in seeds]


def test_metadata_and_transcript_say_what_was_asked_and_answered(runs: tuple[Path, Path]) -> None:
    bundle = runs[0] / "contract/run-1"
    metadata = json.loads((bundle / "metadata.json").read_text())
    _, *events = records(bundle / "transcript.ndjson")

    assert ["cid"] == metadata["correlation_ids"]
    assert {"python", "numpy", "worker-orcd", "cuda"} <= metadata["versions"].keys()
    assert metadata["start_time"] <= metadata["end_time"]
    assert ["started", "token", "end"] == [event["event"] for event in events]
    assert "a\u2028b" == events[1]["data"]["t"]
    assert sorted(event["ts"] for event in events) == [event["ts"] for event in events]
    assert "| A\\|B | 400 |" in (bundle / "error_mapping_table.md").read_text()


def test_tests_skips_and_failures_are_listed_without_secrets(runs: tuple[Path, Path]) -> None:
    bundle = runs[0] / "unit/run-1"
    report = (bundle / "test_report.md").read_text()
    _, error = records(bundle / "redacted_errors.ndjson")

    assert "4 passed, 1 failed, 1 skipped" in report
    assert "| skipped | tests/domain/test_suite.py::test_skipped | Skipped: no such device |" in report
    assert re.search(r"\| failed \| \S+::test_failing \| \S+test_suite.py:\d+: AssertionError \|", report)
    assert ("tests/domain/test_suite.py::test_failing", True) == (
        error["test"],
        "[redacted:" in error["error"],
    )
    assert not [name for name in files(runs[0]) if "abcdef0123456789" in (runs[0] / name).read_text()]


def test_a_run_of_the_same_name_replaces_the_bundle(runs: tuple[Path, Path], tmp_path: Path) -> None:
    for _ in range(2):
        run_suite(tmp_path, tmp_path / "proof", LLORCH_RUN_ID="run-1")

    assert files(runs[0]) == files(tmp_path / "proof")
    assert [] == check_integrity(tmp_path / "proof/unit/run-1")


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"LLORCH_PROOF_DIR": "/dev/null/x"}, "Not a directory"),
        ({"LLORCH_RUN_ID": "../../elsewhere"}, "must be a plain file name"),
    ],
)
def test_what_cannot_be_written_is_said_and_changes_no_outcome(
    environment: dict[str, str], reason: str, tmp_path: Path
) -> None:
    result = run_suite(tmp_path, tmp_path / "proof", **environment)

    assert 1 == result.returncode, "one test fails, as without the plugin"
    assert "proof bundles were NOT written: " in result.stdout
    assert reason in result.stdout
    assert [] == files(tmp_path / "proof")
