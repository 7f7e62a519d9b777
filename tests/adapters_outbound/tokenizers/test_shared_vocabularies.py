"""Real vocabularies against the ids that llama.cpp's own tests expect.

They lie outside the repository: in the folder that `WORKER_ORCD_TEST_DATA` names, or in `../shared/data`.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapters_outbound.gguf.opener import GgufModelFileOpener
from adapters_outbound.tokenizers.factory import build_tokenizer
from ports.tokenizer import Tokenizer

pytestmark = pytest.mark.req("M0-W-1362", "M0-W-1363")

NEXT_TO_REPOSITORY = Path(__file__).parents[4] / "shared" / "data"
FOLDER = Path(os.environ.get("WORKER_ORCD_TEST_DATA", NEXT_TO_REPOSITORY)) / "vocab"
NUM_TEXTS = 46


@dataclass(frozen=True)
class Case:
    """What is known of one vocabulary."""

    name: str
    vocab_size: int
    eog_token_ids: set[int]  # M0-W-1422; GPT-2 has one special token
    adds_bos: bool = False
    prefix: str = ""  # what a text that is not empty begins with when it comes back


CASES = [
    pytest.param(Case("gpt-2", 50257, {50256}), id="gpt-2"),
    pytest.param(Case("qwen2", 151936, {151643, 151645}), id="qwen2"),
    pytest.param(Case("phi-3", 32064, {32000, 32007}, adds_bos=True, prefix=" "), id="phi-3"),
]


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    case: Case = request.param
    if not path_of(case.name).exists():
        pytest.skip(f"{path_of(case.name)} is not there; WORKER_ORCD_TEST_DATA names the folder with vocab/")
    return case


@pytest.fixture(scope="module")
def tokenizer(case: Case) -> Iterator[Tokenizer]:
    file = GgufModelFileOpener().open_vocabulary(str(path_of(case.name)))
    yield build_tokenizer(file.metadata, path=file.path)
    file.close()


def path_of(name: str) -> Path:
    return FOLDER / f"ggml-vocab-{name}.gguf"


def texts_and_ids(name: str) -> list[tuple[str, list[int]]]:
    """Each text ends with a line `__ggml_vocab_test__`, each list of ids with its line."""
    texts = path_of(name).with_suffix(".gguf.inp").read_bytes().decode()
    lines = path_of(name).with_suffix(".gguf.out").read_text(encoding="ascii")
    pairs = zip(texts.split("\n__ggml_vocab_test__\n")[:-1], lines.split("\n")[:-1], strict=True)
    return [(text, [int(token_id) for token_id in line.split()]) for text, line in pairs]


def test_every_text_has_the_expected_ids(case: Case, tokenizer: Tokenizer) -> None:
    pairs = texts_and_ids(case.name)

    actual = [tokenizer.encode(text, add_bos=False, parse_special=False) for text, _ in pairs]

    assert NUM_TEXTS == len(pairs)
    assert [token_ids for _, token_ids in pairs] == actual


def test_the_expected_ids_decode_to_every_text(case: Case, tokenizer: Tokenizer) -> None:
    pairs = texts_and_ids(case.name)

    actual = [b"".join(map(tokenizer.decode_bytes, token_ids)).decode() for _, token_ids in pairs]

    assert [case.prefix + text if text else "" for text, _ in pairs] == actual


def test_what_is_known_of_the_vocabulary_is_the_models(case: Case, tokenizer: Tokenizer) -> None:
    assert case.vocab_size == tokenizer.vocab_size
    assert case.eog_token_ids == tokenizer.eog_token_ids
    assert case.adds_bos == tokenizer.adds_bos


def test_the_last_id_is_markup_or_filler_and_has_no_text(tokenizer: Tokenizer) -> None:
    assert b"" == tokenizer.decode_bytes(tokenizer.vocab_size - 1)
