"""What every tokenizer must do, whatever its algorithm."""

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from domain.utf8_decoder import Utf8Decoder
from ports.tokenizer import Tokenizer
from tests.contracts.tokenizer_fixtures import TOKENIZERS, TokenizerCase

pytestmark = pytest.mark.req("M0-W-1361", "M0-W-1362", "M0-W-1365")

FEW = settings(max_examples=60)
# any characters at all, and some that tokenizers are known to stumble over
TEXTS = st.one_of(
    st.text(max_size=40),
    st.text(alphabet=" \t\n\r\u00a0'sS1\u00e9e\u0301<|_>[]\x00\U0001f999\u200d\ufffd", max_size=40),
)


@pytest.fixture(scope="module", params=TOKENIZERS)
def case(request: pytest.FixtureRequest) -> TokenizerCase:
    case: TokenizerCase = request.param
    return case


@pytest.fixture(scope="module")
def tokenizer(case: TokenizerCase) -> Tokenizer:
    return case.build()


def decode(tokenizer: Tokenizer, token_ids: list[int]) -> str:
    """As a job's answer is decoded: id by id, through the incremental decoder."""
    decoder = Utf8Decoder()
    return (
        "".join(decoder.feed(tokenizer.decode_bytes(token_id)) for token_id in token_ids) + decoder.finish()
    )


@FEW
@given(text=TEXTS, parse_special=st.booleans())
def test_any_text_comes_back_from_its_ids(
    tokenizer: Tokenizer, case: TokenizerCase, text: str, parse_special: bool
) -> None:
    assume(not parse_special or "<" not in text)  # markup is meant to become ids without text
    token_ids = tokenizer.encode(text, add_bos=False, parse_special=parse_special)

    assert case.comes_back(text) == decode(tokenizer, token_ids)
    assert all(0 <= token_id < tokenizer.vocab_size for token_id in token_ids)


@FEW
@given(text=TEXTS, cuts=st.sets(st.integers(min_value=1, max_value=80)))
def test_the_text_is_the_same_however_its_bytes_arrive(
    tokenizer: Tokenizer, case: TokenizerCase, text: str, cuts: set[int]
) -> None:
    token_ids = tokenizer.encode(text, add_bos=False, parse_special=False)
    decoder = Utf8Decoder()
    decoded = ""

    for start, end in pairwise([0, *sorted(cuts), max([*cuts, len(token_ids)])]):
        decoded += decoder.feed(b"".join(map(tokenizer.decode_bytes, token_ids[start:end])))

    assert case.comes_back(text) == decoded + decoder.finish()


def test_empty_text_has_no_ids(tokenizer: Tokenizer) -> None:
    assert [] == tokenizer.encode("", add_bos=False, parse_special=True)


@pytest.mark.parametrize("text", ["", "Hello there", " <|im_end|>"])
def test_bos_is_put_first_and_changes_nothing_else(tokenizer: Tokenizer, text: str) -> None:
    without = tokenizer.encode(text, add_bos=False, parse_special=True)

    assert [tokenizer.bos_token_id, *without] == tokenizer.encode(text, add_bos=True, parse_special=True)


def test_markup_is_its_control_id_and_what_surrounds_it_is_untouched(
    tokenizer: Tokenizer, case: TokenizerCase
) -> None:
    token_ids = tokenizer.encode(f"a \n{case.control_text} b", add_bos=False, parse_special=True)

    assert 1 == token_ids.count(case.control_id)
    assert case.comes_back("a \n") + case.comes_back(" b") == decode(tokenizer, token_ids)


@FEW
@given(before=TEXTS, after=TEXTS)
def test_markup_typed_by_a_user_never_becomes_a_control_id(
    tokenizer: Tokenizer, case: TokenizerCase, before: str, after: str
) -> None:
    text = before + case.control_text + after

    token_ids = tokenizer.encode(text, add_bos=False, parse_special=False)

    assert case.control_id not in token_ids
    assert b"" not in map(tokenizer.decode_bytes, token_ids)
    assert case.comes_back(text) == decode(tokenizer, token_ids)


@pytest.mark.parametrize("parse_special", [True, False])
def test_a_user_defined_token_is_matched_whole_and_decodes_to_its_text(
    tokenizer: Tokenizer, case: TokenizerCase, parse_special: bool
) -> None:
    text = f"a {case.user_defined_text}b"

    token_ids = tokenizer.encode(text, add_bos=False, parse_special=parse_special)

    expected = case.comes_back("a ") + case.user_defined_text + case.comes_back("b")
    assert 1 == token_ids.count(case.user_defined_id)
    assert expected == decode(tokenizer, token_ids)


def test_a_control_id_has_no_bytes(tokenizer: Tokenizer, case: TokenizerCase) -> None:
    assert b"" == tokenizer.decode_bytes(case.control_id)


def test_every_id_has_bytes_or_none_and_an_id_past_the_end_has_none(tokenizer: Tokenizer) -> None:
    decoded = [tokenizer.decode_bytes(token_id) for token_id in range(-1, tokenizer.vocab_size + 1)]

    assert [b"", b""] == [decoded[0], decoded[-1]]
    assert any(decoded)


def test_eos_ends_a_generation_and_every_id_that_does_exists(tokenizer: Tokenizer) -> None:
    assert tokenizer.eos_token_id in tokenizer.eog_token_ids
    assert tokenizer.eog_token_ids <= set(range(tokenizer.vocab_size))


def test_a_tokenizer_built_again_gives_the_same_ids(tokenizer: Tokenizer, case: TokenizerCase) -> None:
    text = "The 1st llama isn't 🦙, <|im_end|> is it?\n"

    expected = tokenizer.encode(text, add_bos=True, parse_special=True)

    assert expected == case.build().encode(text, add_bos=True, parse_special=True)


def test_a_long_text_leaves_the_interpreter_to_other_threads(tokenizer: Tokenizer) -> None:
    text = "Every other stream must go on meanwhile. " * 20_000
    turns = 0

    with ThreadPoolExecutor(1) as threads:
        encoding = threads.submit(tokenizer.encode, text, add_bos=False, parse_special=False)
        while not encoding.done():
            time.sleep(0.001)
            turns += 1

    # one or two if the lock is held until the text is done, a hundred or so if not
    assert turns > 10


def test_threads_that_encode_at_once_get_the_same_ids(tokenizer: Tokenizer) -> None:
    texts = [f"llama {number} isn't 🦙<|im_end|>" * 20 for number in range(8)] * 4
    expected = [tokenizer.encode(text, add_bos=False, parse_special=True) for text in texts]

    with ThreadPoolExecutor(4) as threads:
        actual = list(
            threads.map(lambda text: tokenizer.encode(text, add_bos=False, parse_special=True), texts)
        )

    assert expected == actual
