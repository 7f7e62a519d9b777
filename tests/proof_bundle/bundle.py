"""Which files a bundle of each type has (spec §25): always the same, empty or not."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from adapters_outbound.proof_bundle.layout import MANIFEST
from tests.proof_bundle.environment import git_commit, has_changes, machine, versions
from tests.proof_bundle.files import Content, write_files
from tests.proof_bundle.records import BundleRecords, Record, timestamp
from tests.proof_bundle.report import readme, test_report
from tests.proof_bundle.views import request_seeds, request_times, span_s, stream_records, timings, transcript


@dataclass(frozen=True, slots=True)
class Run:
    """What all bundles of one run share."""

    run_id: str
    command: list[str]
    git_commit: str = field(default_factory=git_commit)
    has_changes: bool = field(default_factory=has_changes)
    machine: Record = field(default_factory=machine)
    versions: Record = field(default_factory=versions)


def write_bundle(directory: Path, run: Run, bundle: BundleRecords) -> Path:
    """Write `<directory>/<type>/<run_id>/`, and return it.

    Raises:
        OSError: something cannot be written.
    """
    path = directory / bundle.bundle_type / run.run_id
    write_files(path, files_of(run, bundle))
    return path


def files_of(run: Run, bundle: BundleRecords) -> dict[str, Content]:
    """Every file of the bundle but its manifest."""
    files: dict[str, Content] = {
        "metadata.json": [_metadata(run, bundle)],
        "seeds.ndjson": bundle.seeds + request_seeds(bundle),
        "transcript.ndjson": transcript(bundle),
        "timings.json": [timings(bundle)],
        "provenance.json": [_provenance(run, bundle)],
        "test_report.md": test_report(bundle),
        **_EXTRAS.get(bundle.bundle_type, _no_extras)(run, bundle),
        **bundle.extras,
    }
    names = sorted({*files, "README.md", MANIFEST})
    return files | {"README.md": readme(bundle.bundle_type, run.run_id, names)}


def _metadata(run: Run, bundle: BundleRecords) -> Record:
    started_at_s, ended_at_s = span_s(bundle)
    return {
        "bundle_type": bundle.bundle_type,
        "run_id": run.run_id,
        "start_time": timestamp(started_at_s),
        "end_time": timestamp(ended_at_s),
        "versions": run.versions,
        "machine": run.machine,
        "command": run.command,
        "workers": bundle.workers,
        "correlation_ids": [stream.started["correlation_id"] for stream in bundle.streams if stream.started],
    }


def _provenance(run: Run, bundle: BundleRecords) -> Record:
    return {
        "bundle_type": bundle.bundle_type,
        "run_id": run.run_id,
        "git_commit": run.git_commit,
        "has_uncommitted_changes": run.has_changes,
        "command": run.command,
    }


def _no_extras(_run: Run, _bundle: BundleRecords) -> Mapping[str, Content]:
    return {}


def _unit(_run: Run, bundle: BundleRecords) -> Mapping[str, Content]:
    failures = [test for test in bundle.tests.values() if test.outcome == "failed"]
    return {"redacted_errors.ndjson": [{"test": test.test, "error": test.reason} for test in failures]}


def _contract(_run: Run, bundle: BundleRecords) -> Mapping[str, Content]:
    return {"sse_fixtures.ndjson": stream_records(bundle), "error_mapping_table.md": []}


def _integration(_run: Run, bundle: BundleRecords) -> Mapping[str, Content]:
    return {"streaming_transcript.ndjson": stream_records(bundle)}


def _e2e_haiku(run: Run, bundle: BundleRecords) -> Mapping[str, Content]:
    return {
        "sse_transcript.ndjson": stream_records(bundle),
        "metrics_snapshot.json": [],
        "verification.json": [],
        "gpu_env.json": [run.machine, {"workers": bundle.workers}],
    }


def _determinism(_run: Run, bundle: BundleRecords) -> Mapping[str, Content]:
    pairs = {name: records for name, records in bundle.extras.items() if name.startswith("pairs/")}
    num_pairs = sum(map(len, pairs.values()))
    num_diffs = sum(name.startswith("diffs/") for name in bundle.extras)
    return {
        "run_config.json": [],
        "timing.csv": request_times(bundle),
        "pairs/one-after-the-other.ndjson": [],
        "pairs/side-by-side.ndjson": [],
        "diffs/README.md": f"{num_diffs} of {num_pairs} pairs differ; each has its file here.\n",
    }


_EXTRAS: Mapping[str, Callable[[Run, BundleRecords], Mapping[str, Content]]] = {
    "unit": _unit,
    "contract": _contract,
    "integration": _integration,
    "e2e-haiku": _e2e_haiku,
    "determinism": _determinism,
}
