"""What the plugin sees of a real run of pytest."""

import pytest

from tools.trace.plugin import TracePlugin

pytest_plugins = ["pytester"]

TESTS = """
import pytest

pytestmark = pytest.mark.req("M0-W-1")

@pytest.mark.req("M0-SYS-2.3.1", "M0-W-1")
def test_that_passes():
    pass

@pytest.mark.parametrize("value", [0, 1])
def test_that_fails_once(value):
    assert value

def test_that_skips():
    pytest.skip("because")

@pytest.fixture
def broken():
    yield
    raise RuntimeError

def test_whose_fixture_breaks_at_the_end(broken):
    pass

@pytest.mark.gpu
def test_on_a_gpu():
    raise RuntimeError
"""
CONFIG = "[pytest]\nmarkers =\n  gpu: needs a GPU\n  req(*ids): requirements\n"


def traced(pytester: pytest.Pytester, *options: str) -> TracePlugin:
    pytester.makeini(CONFIG)
    pytester.makepyfile(test_it=TESTS)
    plugin = TracePlugin()
    pytester.inline_run("-p", "no:cacheprovider", "-p", "no:asyncio", *options, plugins=[plugin])
    return plugin


def test_tests_are_known_by_their_markers_with_what_became_of_them(pytester: pytest.Pytester) -> None:
    plugin = traced(pytester, "-m", "not gpu")

    assert {
        "test_that_passes": "passed",
        "test_that_fails_once[0]": "failed",
        "test_that_fails_once[1]": "passed",
        "test_that_skips": "skipped",
        "test_whose_fixture_breaks_at_the_end": "failed",
        "test_on_a_gpu": None,
    } == {test.node_id.partition("::")[2]: test.outcome for test in plugin.tests}


def test_an_id_is_read_in_its_one_form_from_function_and_module(pytester: pytest.Pytester) -> None:
    ids = {test.node_id: test.requirement_ids for test in traced(pytester, "--collect-only").tests}

    assert ("SYS-2.3.1", "M0-W-1") == ids["test_it.py::test_that_passes"]
    assert ("M0-W-1",) == ids["test_it.py::test_that_skips"]


def test_a_test_that_is_deselected_is_still_known_as_one_for_a_gpu(pytester: pytest.Pytester) -> None:
    needs_gpu = [test.node_id for test in traced(pytester, "-m", "not gpu").tests if test.needs_gpu]

    assert ["test_it.py::test_on_a_gpu"] == needs_gpu
