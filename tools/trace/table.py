"""From tests and requirements to one line for each requirement, and to what is wrong with them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tools.trace.requirements import Requirement, Shown

_ON_GPU = (Shown.BOTH, Shown.GPU)


@dataclass(slots=True)
class TracedTest:
    """A test that names requirements. `outcome` is None until it has run."""

    node_id: str
    requirement_ids: tuple[str, ...]
    needs_gpu: bool
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of one requirement."""

    requirement: Requirement
    tests: tuple[TracedTest, ...]

    @property
    def problem(self) -> str | None:
        """Why the requirement does not hold as listed, whether or not the tests have run."""
        if any(test.outcome == "failed" for test in self.tests):
            return "a test failed"
        match self.requirement.shown:
            case Shown.CPU | Shown.BOTH:
                return self._cpu_problem()
            case Shown.LATER if self.tests:
                return f"listed as not built, but {self.tests[0].node_id} claims to show it"
            case _:
                return None

    @property
    def status(self) -> str:
        """For a person: the worst of what is known first, then what is still to be shown."""
        requirement = self.requirement
        if self.problem:
            return f"NOT SHOWN: {self.problem}"
        if requirement.shown is Shown.LATER:
            return f"not built: {requirement.note}"
        parts = [_ran(self._cpu_tests)] if self._cpu_tests else []
        if requirement.shown is Shown.BENCH:
            note = f" ({requirement.note})" if requirement.note else ""
            parts.append(f"measured by make bench: {requirement.row}{note}")
        if requirement.shown in _ON_GPU:
            parts.append(f"needs a GPU ({requirement.note}): {self._gpu_status()}")
        return "; ".join(parts)

    @property
    def _cpu_tests(self) -> list[TracedTest]:
        return [test for test in self.tests if not test.needs_gpu]

    def _cpu_problem(self) -> str | None:
        if not self._cpu_tests:
            return "only tests that need a GPU" if self.tests else "no test"
        if {test.outcome for test in self._cpu_tests} == {"skipped"}:
            return "every test was skipped"
        return None

    def _gpu_status(self) -> str:
        gpu_tests = [test for test in self.tests if test.needs_gpu]
        return _ran(gpu_tests) if gpu_tests else "no test yet"


def make_rows(requirements: Mapping[str, Requirement], tests: Iterable[TracedTest]) -> list[Row]:
    """One row for each requirement, in the order of the list."""
    tests_by_id: dict[str, list[TracedTest]] = {requirement_id: [] for requirement_id in requirements}
    for test in tests:
        for requirement_id in test.requirement_ids:
            tests_by_id.get(requirement_id, []).append(test)
    return [Row(requirement, tuple(tests_by_id[key])) for key, requirement in requirements.items()]


def problems(requirements: Mapping[str, Requirement], tests: Iterable[TracedTest]) -> list[str]:
    """What must not be: requirements that are not shown, markers that name none."""
    tests = list(tests)
    unshown = [
        f"{row.requirement.id}: {row.problem}" for row in make_rows(requirements, tests) if row.problem
    ]
    unknown = [
        f"{test.node_id} names {requirement_id}, which is no requirement"
        for test in tests
        for requirement_id in test.requirement_ids
        if requirement_id not in requirements
    ]
    return unshown + unknown


def lines(rows: Iterable[Row], *, with_tests: bool) -> Iterator[str]:
    """The table: ID, number of tests, status, what the requirement is; below it its tests, if asked for."""
    for row in rows:
        yield f"{row.requirement.id:<11} {len(row.tests):>4}  {row.status}  [{row.requirement.text}]"
        if with_tests:
            yield from (f"{'':>17} {test.outcome or 'not run':<8} {test.node_id}" for test in row.tests)


def _ran(tests: Iterable[TracedTest]) -> str:
    outcomes = {test.outcome for test in tests}
    if outcomes == {"passed"}:
        return "passed"
    return "not run" if outcomes == {None} else "passed, some skipped or not run"
