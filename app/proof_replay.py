"""Ask a running worker what the determinism pairs of a proof bundle were asked, and compare the tokens."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException

import msgspec

from adapters_outbound.proof_bundle.determinism import RecordedModel, RecordedPair
from app.client import JobFailed, WorkerClient
from domain.token_diff import TokenDifference, first_difference

_TEXT_CHARS = 40


class AnotherModel(Exception):
    """The worker serves another model than the one that the pairs were recorded with."""


class NoWorker(Exception):
    """What should be a worker does not answer as one."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """How the answer to one pair's request differs from the recorded one."""

    pair: RecordedPair
    difference: TokenDifference
    text_before: str  # the end of what both answers say before the differing token
    recorded_text: str  # from there on
    replayed_text: str


def check_model(client: WorkerClient, recorded: RecordedModel) -> None:
    """Make sure that the worker can be compared at all.

    Raises:
        AnotherModel: its name, kind of quantization or vocabulary is not the recorded one.
        NoWorker: nobody answers, or not as a worker does.
    """
    try:
        served = msgspec.convert(client.health(), RecordedModel)
    except (OSError, HTTPException, ValueError, msgspec.ValidationError) as error:
        raise NoWorker(f"no worker answers there: {error}") from error
    if served != recorded:
        raise AnotherModel(
            f"the worker serves {_shown(served)}; the bundle was recorded with {_shown(recorded)}"
        )


def replay(client: WorkerClient, pairs: Sequence[RecordedPair]) -> Iterator[Mismatch]:
    """Run the request of every pair, equal requests once, and yield the pairs whose tokens differ.

    Raises:
        WorkerRefused, JobFailed, NoWorker: a request was not answered.
    """
    answers: dict[str, list[_Piece]] = {}
    for pair in pairs:
        key = json.dumps(pair.request, sort_keys=True)
        if key not in answers:
            answers[key] = _answer(client, {**pair.request, "job_id": f"proof-{len(answers)}"})
        token_ids = [token_id for piece in answers[key] for token_id in piece.token_ids]
        if difference := first_difference(pair.ids, token_ids):
            yield _mismatch(pair, difference, answers[key])


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str
    token_ids: Sequence[int]


def _answer(client: WorkerClient, request: Mapping[str, object]) -> list[_Piece]:
    try:
        events = list(client.execute(request))
    except (OSError, HTTPException, ValueError) as error:
        raise NoWorker(f"the worker no longer answers: {error}") from error
    if not events or events[-1].name != "end":
        raise JobFailed(f"the worker did not finish {request['job_id']}: {events[-1:]}")
    return [_Piece(event.data.get("t", ""), event.data.get("ids", ())) for event in events]


def _mismatch(pair: RecordedPair, difference: TokenDifference, pieces: Sequence[_Piece]) -> Mismatch:
    text = "".join(piece.text for piece in pieces)
    start = _num_chars_before(pieces, difference.index)
    end = start + _TEXT_CHARS
    return Mismatch(
        pair,
        difference,
        text_before=text[max(0, start - _TEXT_CHARS) : start],
        recorded_text=pair.text[start:end],
        replayed_text=text[start:end],
    )


def _num_chars_before(pieces: Sequence[_Piece], index: int) -> int:
    """Where in the text the piece begins that token `index` belongs to."""
    num_chars = num_tokens = 0
    for piece in pieces:
        if num_tokens + len(piece.token_ids) > index:
            break
        num_tokens += len(piece.token_ids)
        num_chars += len(piece.text)
    return num_chars


def _shown(model: RecordedModel) -> str:
    return f"{model.model} ({model.quant_kind}, {model.vocab_size} tokens)"
