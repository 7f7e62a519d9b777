"""Collects from pytest which test names which requirement, and how it went."""

from collections.abc import Iterable

import pytest

from tools.trace.requirements import plain_id
from tools.trace.table import TracedTest

_FAILED, _PASSED, _SKIPPED = "failed", "passed", "skipped"


class TracePlugin:
    """Give it to `pytest.main`; afterwards `tests` holds every test that names a requirement."""

    def __init__(self) -> None:
        self._tests: dict[str, TracedTest] = {}

    @property
    def tests(self) -> list[TracedTest]:
        """In the order of collection, those that were deselected included."""
        return list(self._tests.values())

    @pytest.hookimpl(tryfirst=True)  # before `-m` deselects
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            requirement_ids = tuple(dict.fromkeys(_named_by(item)))
            if requirement_ids:
                needs_gpu = item.get_closest_marker("gpu") is not None
                self._tests[item.nodeid] = TracedTest(item.nodeid, requirement_ids, needs_gpu)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test = self._tests.get(report.nodeid)
        if test is None or test.outcome == _FAILED:
            return
        if report.failed or report.skipped:
            test.outcome = _FAILED if report.failed else _SKIPPED
        elif report.when == "call":
            test.outcome = _PASSED


def _named_by(item: pytest.Item) -> Iterable[str]:
    return (plain_id(name) for marker in item.iter_markers("req") for name in marker.args)
