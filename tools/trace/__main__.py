"""`make trace`: run the tests, and print for each requirement the tests that name it and how they went.

Exit status 1 where a requirement that can be shown without a GPU has no such test or a failed one, or where a
marker names no requirement; pytest's own where the tests could not be run.
"""

import argparse
import contextlib
import io
import sys
from pathlib import Path

import pytest

from tools.trace.plugin import TracePlugin
from tools.trace.requirements import load_requirements
from tools.trace.table import lines, make_rows, problems

_REPORT = Path("build") / "trace.txt"  # the table with the tests of each requirement
_RAN = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)


def main() -> int:
    """Run from the repository root."""
    parser = argparse.ArgumentParser(prog="python -m tools.trace", description=__doc__)
    parser.add_argument("--check", action="store_true", help="collect only; print what is wrong, if anything")
    parser.add_argument("--verbose", action="store_true", help="print the tests of each requirement, too")
    options = parser.parse_args()
    requirements, plugin = load_requirements(), TracePlugin()
    exit_code = _collect(plugin) if options.check else pytest.main(["-q", "-m", "not gpu"], plugins=[plugin])
    if exit_code not in _RAN:
        return int(exit_code)
    if not options.check:
        rows = make_rows(requirements, plugin.tests)
        _REPORT.parent.mkdir(exist_ok=True)
        _REPORT.write_text("\n".join(lines(rows, with_tests=True)) + "\n", encoding="utf-8")
        print("\nrequirement tests  status  [what]", *lines(rows, with_tests=options.verbose), sep="\n")
        print(f"\nThe tests of each requirement: {_REPORT}")
    found = problems(requirements, plugin.tests)
    print(*found, sep="\n", file=sys.stderr, end="\n" if found else "")
    return int(bool(found) or exit_code)


def _collect(plugin: TracePlugin) -> int:
    """Collect without running; what pytest says is shown only where it fails."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exit_code = pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider"], plugins=[plugin])
    if exit_code != pytest.ExitCode.OK:
        print(said.getvalue(), file=sys.stderr)
    return int(exit_code)


if __name__ == "__main__":
    sys.exit(main())
