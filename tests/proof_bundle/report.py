"""The pages of a bundle that people read."""

from collections import Counter
from collections.abc import Sequence

from tests.proof_bundle.files import markdown_table
from tests.proof_bundle.records import BundleRecords

_WHAT = {
    "README.md": "this page",
    "metadata.json": "machine, versions, models with their SHA-256, workers, correlation ids of the requests",
    "seeds.ndjson": "every seed: of a request, of a test's parameter, of property tests",
    "transcript.ndjson": "every server-sent event, in order",
    "timings.json": "milliseconds of every test and request",
    "provenance.json": "the commit and the command",
    "manifest.sha256": "SHA-256 of every file; `sha256sum -c` reads it",
    "test_report.md": "tests executed and skipped",
    "redacted_errors.ndjson": "what failing tests said, without secrets",
    "sse_fixtures.ndjson": "one stream of every kind",
    "error_mapping_table.md": "every error with the status, code and advice it is answered with",
    "streaming_transcript.ndjson": "every stream with the times of its events",
    "sse_transcript.ndjson": "every stream with the times of its events",
    "metrics_snapshot.json": "the metrics before and after the haiku",
    "gpu_env.json": "the device",
    "verification.json": "the minute, the nonce, and what was checked",
    "run_config.json": "model, seeds, temperatures",
    "timing.csv": "milliseconds of every request",
    "histograms.json": "p50, p95 and p99",
}


def readme(bundle_type: str, run_id: str, names: Sequence[str]) -> str:
    """What lies here, and how to check it."""
    lines = [f"- `{name}`: {_WHAT[name]}" if name in _WHAT else f"- `{name}`" for name in names]
    return "\n".join(
        [
            f"Proof bundle `{bundle_type}` of run `{run_id}`.",
            "",
            *lines,
            "",
            "Check it with `worker-orcd proof verify .`; with `--url http://HOST:PORT` a running worker",
            "repeats the determinism pairs, where there are any.",
            "",
        ]
    )


def test_report(bundle: BundleRecords) -> str:
    """How many tests passed, failed and were skipped, then each of them."""
    tests = bundle.tests.values()
    counts = Counter(test.outcome for test in tests)
    summary = ", ".join(f"{counts[outcome]} {outcome}" for outcome in ("passed", "failed", "skipped"))
    rows = [
        {"outcome": test.outcome, "test": test.test, "why": "".join(test.reason.splitlines()[-1:])}
        for test in tests  # the last line of a failure names the error and its place
    ]
    return f"{summary}\n\n{markdown_table(rows)}"
