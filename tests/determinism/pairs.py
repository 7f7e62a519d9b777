"""Two answers to one request: what must be equal, and what goes into the proof bundle."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from app.client import WorkerClient
from domain.token_diff import first_difference
from tests.proof_bundle.records import ProofRecorder

Request = Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """All of a stream that carries no time and no id made for this run.

    Text and ids are joined over the token events: how many tokens one event holds depends on how fast the
    reader takes them, which is documented and no part of the promise.
    """

    token_ids: Sequence[int]
    text: bytes
    end: Mapping[str, Any]


def run(client: WorkerClient, request: Request) -> Outcome:
    """Have the request answered."""
    answer = client.complete({**request, "job_id": name_of(request)})
    end = {name: value for name, value in answer.end.items() if name not in {"decode_time_ms", "ids"}}
    return Outcome(answer.token_ids, answer.text.encode(), end)


def name_of(request: Request) -> str:
    """What the pair of this request is called; a job id too."""
    return f"seed-{request['seed']}-temperature-{request['temperature']}".replace(".", "_")


def record_pair(
    proof: ProofRecorder, comparison: str, request: Request, expected: Outcome, actual: Outcome
) -> bool:
    """Put the pair into the bundle, and a file under `diffs/` if it differs. Returns whether it is equal."""
    pair = {"pair": name_of(request), "comparison": comparison, "request": dict(request)}
    is_equal = expected == actual
    proof.add(
        f"pairs/{comparison}.ndjson",
        **pair,
        ids=expected.token_ids,
        text=expected.text.decode(),
        is_equal=is_equal,
    )
    if not is_equal:
        difference = first_difference(expected.token_ids, actual.token_ids)
        proof.add(
            f"diffs/{comparison}-{name_of(request)}.json",
            **pair,
            first_difference=difference and asdict(difference),
            expected=_shown(expected),
            actual=_shown(actual),
        )
    return is_equal


def _shown(outcome: Outcome) -> dict[str, Any]:
    return {"ids": outcome.token_ids, "text": outcome.text.decode(), "end": outcome.end}
