"""Vocabularies that are refused, each with file, key, expectation and finding."""

import re
from typing import Any

import numpy as np
import pytest

from adapters_outbound.tokenizers.factory import build_tokenizer
from domain.errors import ModelLoadFailed
from tests.adapters_outbound.tokenizers.tiny_vocabulary import (
    BYTE,
    BYTES,
    FIRST_ID,
    NORMAL,
    PATH,
    metadata_of,
)

pytestmark = pytest.mark.req("M0-W-1362", "M0-W-1211")

N = FIRST_ID
FLOATS = np.zeros(N, dtype=np.float32)


def int_array(values: list[int], dtype: str = "int32") -> np.ndarray[Any, Any]:
    return np.array(values, dtype=dtype)


NOT_TWO = "merges: expected two tokens with a blank between, found"
NOT_ONE = "merges: expected merges of two tokens into one, found"

BAD: list[tuple[str, dict[str, Any], str]] = [
    ("model unknown", {"model": "t5"}, "model: expected one of gpt2, llama, found 't5'"),
    ("model no text", {"model": 5}, "model: expected text, found 5 (int)"),
    ("pre unknown", {"pre": "default"}, "pre: expected one of a.x-4.0, "),
    ("pre no text", {"pre": ["gpt-2"]}, "pre: expected text, found an array of text"),
    (
        "tokens no text",
        {"tokens": int_array([1])},
        "tokens: expected an array of text, found an array of int32",
    ),
    ("no tokens", {"tokens": []}, "tokens: expected at least one token, found none"),
    ("types too few", {"token_type": int_array([1] * (N - 1))}, f"token_type: expected {N} elements"),
    (
        "types INT8",
        {"token_type": int_array([1] * N, "int8")},
        "token_type: expected an array of int32, found",
    ),
    (
        "types as text",
        {"token_type": ["1"] * N},
        "token_type: expected an array of int32, found an array of text",
    ),
    (
        "type zero",
        {"token_type": int_array([0] * N)},
        "token_type: expected token types from 1 to 6, found 0",
    ),
    ("scores too many", {"scores": np.zeros(N + 1, dtype=np.float32)}, f"scores: expected {N} elements"),
    ("scores INT8", {"scores": int_array([0] * N, "int8")}, "scores: expected an array of float32 or int32"),
    ("eos past the end", {"eos_token_id": N}, f"eos_token_id: expected a token id below {N}, found {N}"),
    ("bos negative", {"bos_token_id": -1}, f"bos_token_id: expected a token id below {N}, found -1"),
    ("bos a float", {"bos_token_id": 1.0}, "bos_token_id: expected a token id, found 1.0 (float)"),
    ("eos a flag", {"eos_token_id": True}, "eos_token_id: expected a token id, found True (bool)"),
    ("eot past the end", {"eot_token_id": N}, "eot_token_id: expected a token id below"),
    ("one of eos ids", {"eos_token_ids": int_array([1, N])}, "eos_token_ids: expected token ids below"),
    ("eos ids of floats", {"eos_token_ids": FLOATS}, "eos_token_ids: expected an array of uint8 or"),
    ("add_bos a number", {"bos_token_id": 1, "add_bos_token": 1}, "add_bos_token: expected true or false"),
    ("add_bos, no bos", {"add_bos_token": True}, "bos_token_id: expected a token id, since"),
    ("merges no text", {"merges": int_array([1])}, "merges: expected an array of text"),
    ("merge of one", {"merges": ["ab"]}, f"{NOT_TWO} 'ab'"),
    ("merge of three", {"merges": ["a b c"]}, f"{NOT_TWO} 'a b c'"),
    ("merge of none", {"merges": [" "]}, f"{NOT_ONE} '' and ''"),
    ("merge of an unknown token", {"merges": ["a bb"]}, f"{NOT_ONE} 'a' and 'bb', but 'bb' is no token"),
    ("merge into an unknown token", {"merges": ["a b"]}, f"{NOT_ONE} 'a' and 'b', but 'ab' is no token"),
    ("merges without end", {"merges": ["a b"] * (16 * N + 1)}, f"merges: expected at most {16 * N} merges"),
]
MISSING = ["model", "pre", "tokens", "token_type", "merges"]


def refusal_of(metadata: dict[str, Any]) -> ModelLoadFailed:
    with pytest.raises(ModelLoadFailed) as caught:
        build_tokenizer(metadata, path=PATH)
    return caught.value


@pytest.mark.parametrize(("keys", "message"), [pytest.param(*rest, id=name) for name, *rest in BAD])
def test_metadata_that_does_not_hold_is_refused_by_name(keys: dict[str, Any], message: str) -> None:
    actual = refusal_of(metadata_of(keys=keys)).message

    assert actual.startswith(f"{PATH}: tokenizer.ggml.{message}")


@pytest.mark.parametrize("key", MISSING)
def test_a_missing_key_is_refused_and_nothing_is_assumed(key: str) -> None:
    metadata = metadata_of()
    del metadata[f"tokenizer.ggml.{key}"]

    expected = f"{PATH}: tokenizer.ggml.{key}: expected a value, found no such key"
    assert expected == refusal_of(metadata).message


@pytest.mark.parametrize(
    ("token", "message"),
    [
        pytest.param("", f"expected tokens that are not empty, found an empty one, id {N}", id="empty"),
        pytest.param(
            "x" * 2**20, f"expected tokens of at most 65535 characters, found one of {2**20}", id="1 MiB"
        ),
    ],
)
def test_a_token_of_impossible_length_is_refused(token: str, message: str) -> None:
    assert f"{PATH}: tokenizer.ggml.tokens: {message}" == refusal_of(metadata_of((token, NORMAL))).message


def test_a_vocabulary_without_some_byte_is_refused_because_text_would_vanish() -> None:
    metadata = metadata_of()
    metadata["tokenizer.ggml.tokens"] = ["??" if mapped == "\u0120" else mapped for mapped in BYTES]

    assert "expected a token for every byte of UTF-8, found 1 bytes without one, first 0x20" in (
        refusal_of(metadata).message
    )


def test_byte_tokens_of_another_algorithm_are_refused() -> None:
    message = refusal_of(metadata_of(("<0x0A>", BYTE))).message

    assert f"token_type: expected no byte tokens in a byte-level vocabulary, found one, id {N}" in message


def test_an_unknown_pre_tokenizer_is_told_all_that_are_known() -> None:
    message = refusal_of(metadata_of(pre="gpt-5")).message

    assert re.search(r"one of .*gpt-2, .*llama-bpe, .*qwen2, .*, found 'gpt-5'$", message)


@pytest.mark.parametrize("key", ["model", "pre"])
def test_a_name_of_the_file_is_cut_before_it_goes_into_a_message(key: str) -> None:
    message = refusal_of(metadata_of(keys={key: "\u202e" + "x" * 2**20})).message

    assert message.isprintable()
    assert len(message) < 1_500  # most of it what is known
    assert "x" * 70 in message


def test_the_facts_are_there_for_programs_too() -> None:
    expected = {"model_path": PATH, "key": "tokenizer.ggml.eos_token_id", "expected": f"a token id below {N}"}

    assert expected | {"actual": f"{N}"} == refusal_of(metadata_of(keys={"eos_token_id": N})).facts


@pytest.mark.parametrize(
    ("merge", "message"),
    [("ab c", "'ab' and 'c', but 'ab' is no token"), ("a bc", "'a' and 'bc', but 'bc' is no token")],
)
def test_a_merge_of_no_token_is_refused_even_where_it_makes_one(merge: str, message: str) -> None:
    metadata = metadata_of(("abc", NORMAL), merges=(merge,))

    with pytest.raises(ModelLoadFailed, match=re.escape(f"{NOT_ONE} {message}")):
        build_tokenizer(metadata, path=PATH)
