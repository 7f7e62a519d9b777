"""What the table says of a requirement, and what it does not let pass."""

import pytest

from tools.trace.requirements import Requirement, Shown
from tools.trace.table import TracedTest, lines, make_rows, problems

NOTES = {Shown.BOTH: "the kernel", Shown.GPU: "the driver", Shown.LATER: "out of scope"}


def requirement(shown: Shown) -> Requirement:
    row = "model load" if shown is Shown.BENCH else ""
    return Requirement("M0-W-1", "1", "MUST", "it works", shown, note=NOTES.get(shown, ""), row=row)


def on_cpu(outcome: str | None = "passed", *, names: str = "M0-W-1") -> TracedTest:
    return TracedTest("test_cpu", (names,), needs_gpu=False, outcome=outcome)


def on_gpu(outcome: str | None = None) -> TracedTest:
    return TracedTest("test_gpu", ("M0-W-1",), needs_gpu=True, outcome=outcome)


def status_of(shown: Shown, *tests: TracedTest) -> str:
    (row,) = make_rows({"M0-W-1": requirement(shown)}, tests)
    return row.status


def problems_of(shown: Shown, *tests: TracedTest) -> list[str]:
    return problems({"M0-W-1": requirement(shown)}, tests)


@pytest.mark.parametrize(
    ("shown", "tests", "expected"),
    [
        (Shown.CPU, [on_cpu()], "passed"),
        (Shown.CPU, [on_cpu(), on_cpu("skipped")], "passed, some skipped or not run"),
        (Shown.CPU, [on_cpu(None)], "not run"),
        (Shown.BOTH, [on_cpu()], "passed; needs a GPU (the kernel): no test yet"),
        (Shown.BOTH, [on_cpu(), on_gpu()], "passed; needs a GPU (the kernel): not run"),
        (Shown.BOTH, [on_cpu(), on_gpu("passed")], "passed; needs a GPU (the kernel): passed"),
        (Shown.GPU, [], "needs a GPU (the driver): no test yet"),
        (Shown.GPU, [on_gpu()], "needs a GPU (the driver): not run"),
        (Shown.GPU, [on_cpu()], "passed; needs a GPU (the driver): no test yet"),
        (Shown.BENCH, [], "measured by make bench: model load"),
        (Shown.BENCH, [on_cpu()], "passed; measured by make bench: model load"),
        (Shown.LATER, [], "not built: out of scope"),
    ],
)
def test_the_status_says_what_was_shown_and_what_was_not(
    shown: Shown, tests: list[TracedTest], expected: str
) -> None:
    assert expected == status_of(shown, *tests)
    assert [] == problems_of(shown, *tests)


@pytest.mark.parametrize(
    ("shown", "tests", "expected"),
    [
        (Shown.CPU, [], "no test"),
        (Shown.BOTH, [], "no test"),
        (Shown.CPU, [on_cpu(), on_cpu("failed")], "a test failed"),
        (Shown.BENCH, [on_cpu("failed")], "a test failed"),
        (Shown.GPU, [on_gpu("failed")], "a test failed"),
        (Shown.CPU, [on_cpu("skipped")], "every test was skipped"),
        (Shown.CPU, [on_gpu("passed")], "only tests that need a GPU"),
        (Shown.BOTH, [on_gpu("passed")], "only tests that need a GPU"),
        (Shown.LATER, [on_cpu()], "listed as not built, but test_cpu claims to show it"),
    ],
)
def test_what_is_not_shown_as_listed_is_a_problem(
    shown: Shown, tests: list[TracedTest], expected: str
) -> None:
    assert [f"M0-W-1: {expected}"] == problems_of(shown, *tests)
    assert f"NOT SHOWN: {expected}" == status_of(shown, *tests)


def test_a_marker_that_names_no_requirement_is_a_problem() -> None:
    expected = "test_cpu names M0-W-2, which is no requirement"

    assert [expected] == problems_of(Shown.CPU, on_cpu(), on_cpu(names="M0-W-2"))


def test_a_line_has_the_number_of_tests_and_below_it_their_names() -> None:
    rows = make_rows({"M0-W-1": requirement(Shown.CPU)}, [on_cpu(), on_cpu()])

    assert ["M0-W-1         2  passed  [it works]"] == list(lines(rows, with_tests=False))
    assert ["passed   test_cpu"] * 2 == [line.strip() for line in lines(rows, with_tests=True)][1:]
