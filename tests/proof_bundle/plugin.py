"""pytest plugin: a run of the tests leaves a proof bundle for every type of suite that ran (spec §25).

A failed write never changes the outcome of the tests; the summary says so.
"""

import os
import time
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import PurePosixPath

import pytest

from tests.proof_bundle.bundle import Run, write_bundle
from tests.proof_bundle.environment import ROOT, git_commit
from tests.proof_bundle.records import ProofRecorder, TestRecord
from tests.proof_bundle.run_id import proof_directory, run_id

# The longest entry that a test's path starts with decides.
_BUNDLE_TYPES = {
    "tests": "unit",
    "tests/contracts": "contract",
    "tests/http": "contract",
    "tests/e2e": "integration",
    "tests/e2e/test_model_on_board.py": "e2e-haiku",
    "tests/e2e/test_haiku_gate.py": "e2e-haiku",
    "tests/e2e/test_home_profile.py": "home-profile-smoke",
    "tests/determinism": "determinism",
}
_PLUGIN = "proof-bundles"


def bundle_type_of(node_id: str) -> str:
    """The type of bundle that a test belongs to, by its path."""
    path = PurePosixPath(node_id.partition("::")[0])
    places = (str(place) for place in (path, *path.parents))
    return next((_BUNDLE_TYPES[place] for place in places if place in _BUNDLE_TYPES), "unit")


def pytest_configure(config: pytest.Config) -> None:
    if not config.option.collectonly:
        command = ["pytest", *map(str, config.invocation_params.args)]
        config.pluginmanager.register(ProofBundlePlugin(command), _PLUGIN)


@pytest.fixture(scope="session")
def proof(request: pytest.FixtureRequest) -> ProofRecorder:
    """Takes what the running test has to record in its proof bundle."""
    plugin = request.config.pluginmanager.get_plugin(_PLUGIN)
    assert isinstance(plugin, ProofBundlePlugin)
    return plugin.proof


class ProofBundlePlugin:
    """Gathers in memory while the tests run, and writes once at the end."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self.proof = ProofRecorder()
        self._now = datetime.now(UTC)
        self._line = ""
        self._has_failed = False

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self.proof.enter(item.nodeid, bundle_type_of(item.nodeid))
        self._note_seed(item)
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        tests = self.proof.bundle.tests
        test = tests.setdefault(report.nodeid, TestRecord(report.nodeid, started_at_s=report.start))
        test.phase_ms[report.when] = round(1000 * report.duration, 3)
        test.ended_at_s = report.stop
        if not report.passed:
            test.outcome = report.outcome
            test.reason = _reason(report)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        bundles = [bundle for bundle in self.proof.bundles.values() if bundle.tests]
        if not bundles:
            return
        started_at_s = time.perf_counter()
        try:
            directory = proof_directory(os.environ, root=ROOT)
            run = Run(run_id(os.environ, now=self._now, git_commit=git_commit()), self._command)
            for bundle in bundles:
                write_bundle(directory, run, bundle)
        except (OSError, ValueError) as error:
            self._line, self._has_failed = f"proof bundles were NOT written: {error}", True
            return
        elapsed_s = time.perf_counter() - started_at_s
        names = ", ".join(sorted(bundle.bundle_type for bundle in bundles))
        self._line = f"proof bundles in {directory}/*/{run.run_id}: {names} ({elapsed_s:.2f} s)"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._line:
            terminalreporter.write_line(self._line, red=self._has_failed)

    def _note_seed(self, item: pytest.Item) -> None:
        """Seeds that show from outside: a parameter of that name, and Hypothesis, which derives them."""
        call = getattr(item, "callspec", None)
        if call is not None and "seed" in call.params:
            self.proof.seed(call.params["seed"], source="parameter")
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            self.proof.seed("derived from the test (derandomize)", source="hypothesis")


def _reason(report: pytest.TestReport) -> str:
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2]
    return report.longreprtext
