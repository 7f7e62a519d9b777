"""The list of requirements: that it is the specification's, and that it is well formed."""

import re
from pathlib import Path

import pytest

from bench.targets import TARGETS
from tests.tools.trace.spec_ids import SPEC, ids_in
from tools.trace.requirements import load_requirements

GOOD = 'id = "M0-W-1", section = "1", level = "MUST", text = "it works"'


def test_the_list_holds_the_ids_of_the_specification_and_no_others() -> None:
    if not SPEC.exists():
        pytest.skip(f"{SPEC} is not there; WORKER_ORCD_TEST_DATA names the folder beside spec/")

    assert ids_in(SPEC.read_text(encoding="utf-8")) == load_requirements().keys()


def test_every_row_that_measures_a_requirement_is_one_of_the_bench() -> None:
    rows = {requirement.row for requirement in load_requirements().values() if requirement.row}

    assert rows <= TARGETS.keys()


def test_every_target_of_the_bench_names_the_requirement_that_its_row_measures() -> None:
    requirements = load_requirements()
    named = {re.findall(r"\((.*)\)", target)[0]: row for row, target in TARGETS.items()}

    assert named == {requirement_id: requirements[requirement_id].row for requirement_id in named}


def test_ranges_and_slashes_are_written_out() -> None:
    text = (
        "SYS-2.4.1/2, M0-SYS-2.5.1, M0-W-1360-1362, M0-W-1432\u20261434, NARR-3001...3003/3007/3008, "
        "OBS-71xx, M0-W-nnnn\n"
        "## 30. ID index\nM0-W: 1001 1002 (\u00a72, 2026) \u00b7 1600\u20131601 1630 (\u00a79)."
    )

    assert {
        *("SYS-2.4.1", "SYS-2.4.2", "SYS-2.5.1", "M0-W-1360", "M0-W-1361", "M0-W-1362"),
        *("M0-W-1432", "M0-W-1433", "M0-W-1434", "NARR-3001", "NARR-3002", "NARR-3003"),
        *("NARR-3007", "NARR-3008", "OBS-71xx"),
        *("M0-W-1001", "M0-W-1002", "M0-W-1600", "M0-W-1601", "M0-W-1630"),
    } == ids_in(text)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([f'{GOOD}, shown = "cpu"'] * 2, "M0-W-1 is listed twice"),
        ([f'{GOOD}, shown = "gpu"'], "its note must say more"),
        ([f'{GOOD}, shown = "later"'], "its note must say more"),
        ([f'{GOOD}, shown = "bench"'], "a row measures"),
        ([f'{GOOD}, shown = "cpu", row = "model load"'], "a row measures"),
        ([f'{GOOD}, shown = "perhaps"'], "perhaps"),
        (['id = "M0-SYS-1.2.3", section = "1", level = "MUST", text = "", shown = "cpu"'], "SYS-1.2.3"),
    ],
)
def test_a_list_that_says_too_little_is_refused(rows: list[str], message: str, tmp_path: Path) -> None:
    path = tmp_path / "requirements.toml"
    path.write_text(
        "".join(f"[[requirement]]\n{row.replace(', ', chr(10))}\n" for row in rows), encoding="utf-8"
    )

    with pytest.raises(ValueError, match=message):
        load_requirements(path)
