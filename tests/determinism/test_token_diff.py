"""A difference is found at its first token, and leaves a file that says so."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from adapters_outbound.proof_bundle.determinism import read_pairs
from adapters_outbound.proof_bundle.integrity import check_integrity
from domain.token_diff import TokenDifference, first_difference
from tests.determinism.pairs import Outcome, record_pair
from tests.proof_bundle.bundle import Run, write_bundle
from tests.proof_bundle.records import ProofRecorder, TestRecord

REQUEST = {"prompt": "rain", "seed": 7, "temperature": 0.9, "max_tokens": 4}
ANSWER = Outcome((5, 6, 7, 8), b"soft rain falls", {"tokens_out": 4, "seed": 7})


@pytest.mark.req("M0-W-1840")
@pytest.mark.parametrize(
    ("expected", "actual", "difference"),
    [
        ([], [], None),
        ([1, 2], [1, 2], None),
        ([1, 2, 3], [1, 9, 9], TokenDifference(1, 2, 9)),
        ([1, 2], [1, 2, 3], TokenDifference(2, None, 3)),
        ([1, 2], [1], TokenDifference(1, 2, None)),
    ],
)
def test_the_first_difference_has_its_index_and_both_tokens(
    expected: list[int], actual: list[int], difference: TokenDifference | None
) -> None:
    assert difference == first_difference(expected, actual)


@pytest.mark.req("M0-W-1840")
def test_a_difference_leaves_a_token_diff_in_the_bundle(tmp_path: Path) -> None:
    proof = ProofRecorder()
    proof.enter("a test", "determinism")
    proof.bundle.tests["a test"] = TestRecord("a test", started_at_s=1.0, ended_at_s=2.0)
    other = Outcome((5, 6, 9, 8), b"soft snow falls", ANSWER.end)

    assert record_pair(proof, "side-by-side", REQUEST, ANSWER, ANSWER)
    assert not record_pair(proof, "side-by-side", {**REQUEST, "seed": 8}, ANSWER, other)
    bundle = write_bundle(tmp_path, Run("run", ["pytest"]), proof.bundle)

    (path,) = bundle.glob("diffs/*.json")
    diff = json.loads(path.read_text())
    assert "side-by-side-seed-8-temperature-0_9.json" == path.name
    assert {"index": 2, "expected": 7, "actual": 9} == diff["first_difference"]
    assert ("soft rain falls", "soft snow falls") == (diff["expected"]["text"], diff["actual"]["text"])
    assert [5, 6, 9, 8] == diff["actual"]["ids"]
    assert "1 of 2 pairs differ" in (bundle / "diffs/README.md").read_text()
    assert [(5, 6, 7, 8)] * 2 == [pair.ids for pair in read_pairs(bundle)]
    assert [] == check_integrity(bundle)


@pytest.mark.parametrize("difference", [{"text": b"soft snow falls"}, {"end": {"tokens_out": 3, "seed": 7}}])
def test_a_difference_outside_of_the_tokens_is_one_too(difference: dict[str, object]) -> None:
    proof = ProofRecorder()
    proof.enter("a test", "determinism")

    assert not record_pair(proof, "side-by-side", REQUEST, ANSWER, replace(ANSWER, **difference))  # type: ignore[arg-type] # by name
    (diff,) = proof.bundle.extras["diffs/side-by-side-seed-7-temperature-0_9.json"]
    assert diff["first_difference"] is None
