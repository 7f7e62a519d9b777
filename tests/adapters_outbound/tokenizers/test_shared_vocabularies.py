"""Real vocabularies against the ids that llama.cpp's own tests expect.

They lie outside the repository: in the folder that `WORKER_ORCD_TEST_DATA` names, or in `../shared/data`.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters_outbound.gguf.opener import GgufModelFileOpener
from adapters_outbound.tokenizers.factory import build_tokenizer
from ports.tokenizer import Tokenizer

pytestmark = pytest.mark.req("M0-W-1362", "M0-W-1363")

NEXT_TO_REPOSITORY = Path(__file__).parents[4] / "shared" / "data"
FOLDER = Path(os.environ.get("WORKER_ORCD_TEST_DATA", NEXT_TO_REPOSITORY)) / "vocab"
NUM_TEXTS = 46

# eog sets: M0-W-1422 for Qwen; GPT-2 has one special token
NAMES = [
    pytest.param(("gpt-2", 50257, {50256}), id="gpt-2"),
    pytest.param(("qwen2", 151936, {151643, 151645}), id="qwen2"),
]


@pytest.fixture(scope="module", params=NAMES)
def case(request: pytest.FixtureRequest) -> tuple[str, int, set[int]]:
    name: str = request.param[0]
    if not path_of(name).exists():
        pytest.skip(f"{path_of(name)} is not there; WORKER_ORCD_TEST_DATA names the folder with vocab/")
    return request.param  # type: ignore[no-any-return]  # pytest gives parameters as Any


@pytest.fixture(scope="module")
def tokenizer(case: tuple[str, int, set[int]]) -> Iterator[Tokenizer]:
    file = GgufModelFileOpener().open_vocabulary(str(path_of(case[0])))
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


def test_every_text_has_the_expected_ids(case: tuple[str, int, set[int]], tokenizer: Tokenizer) -> None:
    pairs = texts_and_ids(case[0])

    actual = [tokenizer.encode(text, add_bos=False, parse_special=False) for text, _ in pairs]

    assert NUM_TEXTS == len(pairs)
    assert [token_ids for _, token_ids in pairs] == actual


def test_the_expected_ids_decode_to_every_text(case: tuple[str, int, set[int]], tokenizer: Tokenizer) -> None:
    pairs = texts_and_ids(case[0])

    actual = [b"".join(map(tokenizer.decode_bytes, token_ids)).decode() for _, token_ids in pairs]

    assert [text for text, _ in pairs] == actual


def test_size_and_ids_that_end_a_generation_are_the_models(
    case: tuple[str, int, set[int]], tokenizer: Tokenizer
) -> None:
    _, vocab_size, eog_token_ids = case

    assert vocab_size == tokenizer.vocab_size
    assert eog_token_ids == tokenizer.eog_token_ids
    assert not tokenizer.adds_bos


def test_the_last_id_is_markup_or_filler_and_has_no_text(tokenizer: Tokenizer) -> None:
    assert b"" == tokenizer.decode_bytes(tokenizer.vocab_size - 1)
