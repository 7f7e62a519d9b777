"""SentencePiece-style BPE: SentencePiece's own ids, and what llama.cpp puts around them."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters_outbound.tokenizers.factory import build_tokenizer
from adapters_outbound.tokenizers.score_merging import ScoreMerger
from adapters_outbound.tokenizers.vocabulary import TokenType
from domain.errors import ModelLoadFailed
from ports.model_file import MetadataValue
from ports.tokenizer import Tokenizer
from tests.adapters_outbound.tokenizers.sentencepiece_sets import load_sentencepiece_sets

pytestmark = pytest.mark.req("M0-W-1362", "M0-W-1363", "M0-W-1365")

NORMAL, UNKNOWN, CONTROL = TokenType.NORMAL, TokenType.UNKNOWN, TokenType.CONTROL
USER_DEFINED, UNUSED, BYTE = TokenType.USER_DEFINED, TokenType.UNUSED, TokenType.BYTE

# id 0 <unk>, 1 <s>, 2 </s>, then the bytes, then what a test adds
FIRST_ID = 3 + 256
BASE = [("<unk>", UNKNOWN, 0.0), ("<s>", CONTROL, 0.0), ("</s>", CONTROL, 0.0)]
BYTES = [(f"<0x{byte:02X}>", BYTE, 0.0) for byte in range(256)]


def metadata_of(
    *added: tuple[str, TokenType, float], base: Any = (*BASE, *BYTES), **keys: MetadataValue
) -> dict[str, MetadataValue]:
    rows = [*base, *added]
    metadata: dict[str, MetadataValue] = {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": [text for text, _, _ in rows],
        "tokenizer.ggml.token_type": np.array([token_type for _, token_type, _ in rows], dtype=np.int32),
        "tokenizer.ggml.scores": np.array([score for _, _, score in rows], dtype=np.float32),
    }
    return metadata | {f"tokenizer.ggml.{key}": value for key, value in keys.items()}


def tokenizer_of(*added: tuple[str, TokenType, float], **keys: MetadataValue) -> Tokenizer:
    return build_tokenizer(metadata_of(*added, **keys), path="tiny.gguf")


def plain(tokenizer: Tokenizer, text: str) -> list[int]:
    return tokenizer.encode(text, add_bos=False, parse_special=False)


def markup(tokenizer: Tokenizer, text: str) -> list[int]:
    return tokenizer.encode(text, add_bos=False, parse_special=True)


def letters(text: str) -> list[tuple[str, TokenType, float]]:
    return [(letter, NORMAL, -100.0) for letter in text]


@pytest.mark.parametrize("name", load_sentencepiece_sets())
def test_the_ids_are_those_of_sentencepiece(name: str) -> None:
    vectors = load_sentencepiece_sets()[name]
    tokenizer = build_tokenizer(vectors.metadata(), path="vectors.json")

    actual = [(text, plain(tokenizer, text)) for text, _ in vectors.vectors]

    assert vectors.vectors == actual


@settings(max_examples=300)
@given(text=st.text(alphabet="ab\u2581.", max_size=24))
def test_cutting_into_words_first_changes_nothing(text: str) -> None:
    scores = {"a": -9.0, "b": -9.0, "\u2581": -9.0, "aa": -1.0, "\u2581\u2581": -1.0, "a\u2581": -2.0}
    merger = ScoreMerger(scores | {"\u2581a": -1.0, "aab": -3.0, "\u2581\u2581a": -0.5, "ab": -1.0})

    words = list(merger.words(text))

    assert text == "".join(words)
    assert merger.merge(text) == [token for word in words for token in merger.merge(word)]


def test_the_higher_score_goes_first_and_of_equals_the_leftmost() -> None:
    higher = tokenizer_of(*letters("abc"), ("ab", NORMAL, -2), ("bc", NORMAL, -1), add_space_prefix=False)
    equal = tokenizer_of(*letters("abc"), ("bc", NORMAL, -1), ("ab", NORMAL, -1), add_space_prefix=False)

    assert [FIRST_ID, FIRST_ID + 4] == plain(higher, "abc")
    assert [FIRST_ID + 4, FIRST_ID + 2] == plain(equal, "abc")


def test_a_token_no_two_tokens_make_is_not_found() -> None:
    tokenizer = tokenizer_of(*letters("abc"), ("abc", NORMAL, 0.0), add_space_prefix=False)

    assert [FIRST_ID, FIRST_ID + 1, FIRST_ID + 2] == plain(tokenizer, "abc")


def test_an_unknown_character_is_its_bytes() -> None:
    tokenizer = tokenizer_of(add_space_prefix=False)

    assert [3 + byte for byte in "\U0001f999\n".encode()] == plain(tokenizer, "\U0001f999\n")
    assert b"\xf0" == tokenizer.decode_bytes(3 + 0xF0)


def test_without_bytes_a_run_of_unknown_characters_is_one_unknown_id() -> None:
    tokenizer = build_tokenizer(metadata_of(*letters("a"), base=BASE, add_space_prefix=False), path="x")

    assert [0, 3, 0] == plain(tokenizer, "zza\u706b")
    assert b"" == tokenizer.decode_bytes(0)


@pytest.mark.parametrize("text", ["<0x41>", "</s>", "<unk>"])
def test_text_that_looks_like_bytes_or_markup_is_text_whatever_the_scores(text: str) -> None:
    halves = [(text[:cut], NORMAL, -float(cut)) for cut in range(1, len(text))]
    rest = [(character, NORMAL, -99.0) for character in sorted(set(text[1:]))]
    tokenizer = tokenizer_of(*halves, *rest, add_space_prefix=False)

    token_ids = plain(tokenizer, text)

    assert min(token_ids) >= FIRST_ID
    assert text == b"".join(map(tokenizer.decode_bytes, token_ids)).decode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a", "\u2581 a", id="at the start"),
        pytest.param(" a", "\u2581 \u2581 a", id="before a blank too"),
        pytest.param("<x>a", "<x> \u2581 a", id="after a special token"),
        pytest.param("a<x>", "\u2581 a <x>", id="but not before one"),
        pytest.param("<x><x> a", "<x> <x> \u2581 \u2581 a", id="after the last of several"),
        pytest.param("", "", id="to nothing nothing"),
    ],
)
def test_a_blank_is_put_before_every_text(text: str, expected: str) -> None:
    added = [*letters("a\u2581"), ("<x>", CONTROL, 0.0)]
    ids = {token: FIRST_ID + number for number, (token, _, _) in enumerate(added)}

    assert [ids[token] for token in expected.split()] == markup(tokenizer_of(*added), text)


def test_no_blank_is_put_where_the_file_says_no() -> None:
    tokenizer = tokenizer_of(*letters("a"), add_space_prefix=False)

    assert [FIRST_ID] == plain(tokenizer, "a")


def test_a_user_defined_token_with_marks_for_blanks_is_merged_and_decoded_as_text() -> None:
    tokenizer = tokenizer_of(*letters("\u2581"), ("\u2581\u2581", USER_DEFINED, -1.0), add_space_prefix=False)

    assert [FIRST_ID + 1] == plain(tokenizer, "  ")
    assert b"  " == tokenizer.decode_bytes(FIRST_ID + 1)


def test_only_phi_3_drops_the_blanks_after_markup() -> None:
    added = [*letters("a\u2581"), ("<x>", CONTROL, 0.0)]
    metadata = metadata_of(*added)
    phi = build_tokenizer(metadata | {"general.name": "Phi 3.5: Phi-3 family"}, path="x")
    other = build_tokenizer(metadata | {"general.name": "Llama 2"}, path="x")
    text = "<x> \n\ta <s> a"
    mark = FIRST_ID + 1

    assert [FIRST_ID + 2, mark, FIRST_ID, mark, 1, mark, mark, FIRST_ID] == markup(phi, text)
    assert [FIRST_ID + 2, mark, mark, 3 + 10, 3 + 9, FIRST_ID] == markup(other, text)[:6]


@pytest.mark.parametrize(
    ("keys", "adds_bos", "bos"),
    [
        pytest.param({}, True, 1, id="by default"),
        pytest.param({"bos_token_id": 2}, True, 2, id="another"),
        pytest.param({"add_bos_token": False}, False, 1, id="the file says no"),
    ],
)
def test_bos_is_added_unless_the_file_says_no(
    keys: dict[str, MetadataValue], adds_bos: bool, bos: int
) -> None:
    tokenizer = tokenizer_of(**keys)

    assert adds_bos == tokenizer.adds_bos
    assert bos == tokenizer.bos_token_id
    assert [bos] == tokenizer.encode("", add_bos=True, parse_special=True)


@pytest.mark.req("M0-W-1422")
def test_without_a_name_eos_is_id_2_if_that_is_markup() -> None:
    base = [("<unk>", UNKNOWN, 0.0), ("a", NORMAL, 0.0), ("b", NORMAL, 0.0)]
    named = [("<unk>", UNKNOWN, 0.0), ("<begin>", CONTROL, 0.0), ("<stop>", CONTROL, 0.0)]
    other = build_tokenizer(metadata_of(base=base), path="x")
    tokenizer = build_tokenizer(metadata_of(base=named), path="x")

    assert 2 == tokenizer.eos_token_id
    assert {2} == tokenizer.eog_token_ids
    assert (None, None, False) == (other.bos_token_id, other.eos_token_id, other.adds_bos)


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("scores with NaN", {"scores": np.full(FIRST_ID, np.nan, dtype=np.float32)}, "scores: expected scores"),
    ("scores too few", {"scores": np.zeros(3, dtype=np.float32)}, "scores: expected 259 elements"),
    ("prefix no flag", {"add_space_prefix": 1}, "add_space_prefix: expected true or false"),
    ("unknown past the end", {"unknown_token_id": FIRST_ID}, "unknown_token_id: expected a token id below"),
    ("add_bos no flag", {"add_bos_token": "yes"}, "add_bos_token: expected true or false"),
]


@pytest.mark.req("M0-W-1211")
@pytest.mark.parametrize(("keys", "message"), [pytest.param(*rest, id=name) for name, *rest in BAD])
def test_metadata_that_does_not_hold_is_refused_by_name(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelLoadFailed) as caught:
        tokenizer_of(**keys)

    assert caught.value.message.startswith(f"tiny.gguf: tokenizer.ggml.{message}")


@pytest.mark.req("M0-W-1211")
def test_scores_are_required() -> None:
    metadata = metadata_of()
    del metadata["tokenizer.ggml.scores"]

    with pytest.raises(ModelLoadFailed, match=r"scores: expected a value, found no such key"):
        build_tokenizer(metadata, path="x")


@pytest.mark.req("M0-W-1211")
@pytest.mark.parametrize(
    ("base", "message"),
    [
        pytest.param([("a", NORMAL, 0.0)], "found 243 bytes without one, first 0x00", id="no bytes"),
        pytest.param([*BYTES, ("<0xGG>", BYTE, 0.0)], "from <0x00> to <0xFF>, found '<0xGG>'", id="no byte"),
    ],
)
def test_a_vocabulary_that_cannot_hold_every_text_is_refused(base: Any, message: str) -> None:
    with pytest.raises(ModelLoadFailed) as caught:
        build_tokenizer(metadata_of(base=base), path="x")

    assert message in caught.value.message
