"""The name of a run, the folder, and which bundle a test belongs to."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.proof_bundle.plugin import bundle_type_of
from tests.proof_bundle.run_id import proof_directory, run_id

pytestmark = pytest.mark.req("M0-W-1840", "PB-1001")

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def test_a_run_is_named_by_time_and_commit_unless_it_has_a_name() -> None:
    assert "20260304-050607-0123abcd" == run_id({}, now=NOW, git_commit="0123abcdef")
    assert "nightly.7" == run_id({"LLORCH_RUN_ID": "nightly.7"}, now=NOW, git_commit="0123abcdef")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", "a b", "a\n", "x" * 129])
def test_a_name_that_is_no_plain_file_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="plain file name"):
        run_id({"LLORCH_RUN_ID": name}, now=NOW, git_commit="0123abcdef")


def test_bundles_lie_in_the_repository_unless_told_otherwise() -> None:
    assert Path("/r/.proof_bundle") == proof_directory({}, root=Path("/r"))
    assert Path("/p") == proof_directory({"LLORCH_PROOF_DIR": "/p"}, root=Path("/r"))


@pytest.mark.parametrize(
    ("path", "bundle_type"),
    [
        ("tests/domain/test_job.py", "unit"),
        ("tests/adapters_outbound/gguf/test_header.py", "unit"),
        ("tests/contracts/test_backend.py", "contract"),
        ("tests/http/test_stream.py", "contract"),
        ("tests/e2e/test_life.py", "integration"),
        ("tests/e2e/test_haiku_gate.py", "e2e-haiku"),
        ("tests/e2e/test_home_profile.py", "home-profile-smoke"),
        ("tests/determinism/test_two_workers.py", "determinism"),
    ],
)
def test_the_place_of_a_test_decides_its_bundle(path: str, bundle_type: str) -> None:
    assert bundle_type == bundle_type_of(f"{path}::test_it[a/b::c]")
