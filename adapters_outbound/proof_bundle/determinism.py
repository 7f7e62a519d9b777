"""The determinism pairs of a proof bundle: requests, and the tokens that answered them."""

from pathlib import Path
from typing import Any

import msgspec

from adapters_outbound.proof_bundle.integrity import BrokenBundle
from adapters_outbound.proof_bundle.layout import PAIRS, RUN_CONFIG


class RecordedModel(msgspec.Struct, frozen=True):
    """The model that answered, in the fields of `/health`."""

    model: str
    quant_kind: str
    vocab_size: int


class RecordedPair(msgspec.Struct, frozen=True):
    """One request that two workers answered; `ids` and `text` are the first one's answer."""

    pair: str
    comparison: str
    request: dict[str, Any]
    ids: tuple[int, ...]
    text: str


class _RunConfig(msgspec.Struct, frozen=True):
    model: RecordedModel


def read_model(directory: Path) -> RecordedModel | None:
    """The model of the pairs; None where the bundle is of another type and has no pairs.

    Raises:
        BrokenBundle: the file that says so cannot be read.
    """
    path = directory / RUN_CONFIG
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=_RunConfig).model
    except (OSError, msgspec.MsgspecError) as error:
        raise BrokenBundle(f"{RUN_CONFIG}: {error}") from error


def read_pairs(directory: Path) -> list[RecordedPair]:
    """Every pair of the bundle, in order of the files' names.

    Raises:
        BrokenBundle: a file cannot be read, or there is no pair.
    """
    pairs: list[RecordedPair] = []
    for path in sorted((directory / PAIRS).glob("*.ndjson")):
        pairs += _read(path)
    if not pairs:
        raise BrokenBundle(f"{PAIRS}/ holds no pair")
    return pairs


def _read(path: Path) -> list[RecordedPair]:
    decoder = msgspec.json.Decoder(RecordedPair)
    pairs: list[RecordedPair] = []
    for number, line in enumerate(path.read_bytes().splitlines()[1:], start=2):  # after the header record
        try:
            pairs.append(decoder.decode(line))
        except msgspec.MsgspecError as error:
            raise BrokenBundle(f"{PAIRS}/{path.name}, line {number}: {error}") from error
    return pairs
