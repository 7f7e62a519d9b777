"""Byte-level BPE: what the types, ids and flags of a file mean."""

import numpy as np
import pytest

from adapters_outbound.tokenizers.vocabulary import TokenType
from ports.model_file import MetadataValue
from ports.tokenizer import Tokenizer
from tests.adapters_outbound.tokenizers.tiny_vocabulary import (
    CONTROL,
    FIRST_ID,
    NORMAL,
    UNKNOWN,
    UNUSED,
    USER_DEFINED,
    ids_of,
    tokenizer_of,
)

pytestmark = pytest.mark.req("M0-W-1362")


def markup(tokenizer: Tokenizer, text: str) -> list[int]:
    return tokenizer.encode(text, add_bos=False, parse_special=True)


def plain(tokenizer: Tokenizer, text: str) -> list[int]:
    return tokenizer.encode(text, add_bos=False, parse_special=False)


def test_the_earlier_merge_goes_first() -> None:
    tokenizer = tokenizer_of(("ab", NORMAL), ("bc", NORMAL), merges=("b c", "a b"))

    assert [*ids_of("a"), FIRST_ID + 1] == plain(tokenizer, "abc")


def test_of_a_merge_given_twice_the_first_counts() -> None:
    tokenizer = tokenizer_of(("ab", NORMAL), ("bc", NORMAL), merges=("b c", "a b", "b c"))

    assert [*ids_of("a"), FIRST_ID + 1] == plain(tokenizer, "abc")


@pytest.mark.parametrize(("pre", "expected"), [("llama-bpe", [FIRST_ID]), ("qwen2", ids_of("word"))])
def test_a_word_that_is_a_token_is_taken_whole_only_by_llama(pre: str, expected: list[int]) -> None:
    assert expected == plain(tokenizer_of(("word", NORMAL), pre=pre), "word")


@pytest.mark.parametrize("pre", ["llama-bpe", "gpt-2"])
def test_a_word_that_is_a_control_token_is_not_taken_from_plain_text(pre: str) -> None:
    tokenizer = tokenizer_of(("EO", NORMAL), ("EOT", CONTROL), merges=("E O", "EO T"), pre=pre)

    assert [FIRST_ID, *ids_of("T")] == plain(tokenizer, "EOT")
    assert [FIRST_ID + 1] == markup(tokenizer, "EOT")


def test_the_leftmost_special_is_taken_and_of_those_that_begin_there_the_longest() -> None:
    tokenizer = tokenizer_of(
        ("<a>", CONTROL), ("<a><b>", CONTROL), ("><b><b>", CONTROL), ("<b>", USER_DEFINED)
    )

    assert [FIRST_ID + 1, FIRST_ID + 3, FIRST_ID] == markup(tokenizer, "<a><b><b><a>")
    assert [*ids_of("<a>"), FIRST_ID + 3] == plain(tokenizer, "<a><b>")


def test_a_special_with_signs_of_a_pattern_matches_only_itself() -> None:
    tokenizer = tokenizer_of(("<.*|(x>", CONTROL))

    assert [*ids_of("<ab"), FIRST_ID] == markup(tokenizer, "<ab<.*|(x>")


def test_an_unknown_token_is_matched_and_decoded_as_a_control_token() -> None:
    tokenizer = tokenizer_of(("<unk>", UNKNOWN))

    assert [FIRST_ID] == markup(tokenizer, "<unk>")
    assert ids_of("<unk>") == plain(tokenizer, "<unk>")
    assert b"" == tokenizer.decode_bytes(FIRST_ID)


@pytest.mark.parametrize("token_type", [UNUSED, USER_DEFINED, NORMAL, UNKNOWN])
def test_filler_is_neither_found_nor_decoded_whatever_its_type(token_type: TokenType) -> None:
    filler = f"[PAD{FIRST_ID}]"
    tokenizer = tokenizer_of((filler, token_type), pre="llama-bpe")

    assert ids_of(filler) == markup(tokenizer, filler)
    assert b"" == tokenizer.decode_bytes(FIRST_ID)


def test_a_token_that_only_looks_like_filler_is_a_token() -> None:
    tokenizer = tokenizer_of(("[PAD7]", USER_DEFINED))

    assert [FIRST_ID] == plain(tokenizer, "[PAD7]")
    assert b"[PAD7]" == tokenizer.decode_bytes(FIRST_ID)


def test_of_tokens_with_the_same_text_the_first_is_found_and_both_decode() -> None:
    tokenizer = tokenizer_of(
        ("ab", NORMAL), ("ab", NORMAL), ("<x>", USER_DEFINED), ("<x>", USER_DEFINED), merges=("a b",)
    )

    assert [FIRST_ID, FIRST_ID + 2] == plain(tokenizer, "ab<x>")
    assert [b"ab", b"ab", b"<x>", b"<x>"] == [
        tokenizer.decode_bytes(FIRST_ID + number) for number in range(4)
    ]


def test_a_user_defined_token_is_stored_as_its_text() -> None:
    tokenizer = tokenizer_of(("\u0120 \u00e9", USER_DEFINED))

    assert [FIRST_ID] == plain(tokenizer, "\u0120 \u00e9")
    assert "\u0120 \u00e9" == tokenizer.decode_bytes(FIRST_ID).decode()


def test_a_token_with_a_character_that_stands_for_no_byte_decodes_to_its_text() -> None:
    tokenizer = tokenizer_of(("a\u4e16 b", NORMAL))

    assert "a\u4e16 b" == tokenizer.decode_bytes(FIRST_ID).decode()


@pytest.mark.req("M0-W-1422")
def test_a_generation_ends_at_every_id_the_file_names() -> None:
    ids = np.array([1, 4], dtype=np.uint32)
    tokenizer = tokenizer_of(
        keys={"eos_token_id": 1, "eot_token_id": 2, "eom_token_id": 3, "eos_token_ids": ids}
    )

    assert {1, 2, 3, 4} == tokenizer.eog_token_ids


@pytest.mark.req("M0-W-1422")
def test_a_generation_ends_at_known_markup_but_not_at_text_that_looks_like_it() -> None:
    tokenizer = tokenizer_of(
        ("<|im_end|>", CONTROL), ("<|eot_id|>", CONTROL), ("<|x|>", CONTROL), ("</s>", USER_DEFINED)
    )

    assert {FIRST_ID, FIRST_ID + 1} == tokenizer.eog_token_ids


@pytest.mark.req("M0-W-1422")
@pytest.mark.parametrize(
    ("others", "expected"),
    [
        pytest.param(["<|return|>", "<|call|>"], {FIRST_ID + 1, FIRST_ID + 2}, id="GPT-OSS"),
        pytest.param(["<|return|>", "<|user|>"], {FIRST_ID, FIRST_ID + 1}, id="not GPT-OSS"),
    ],
)
def test_the_end_of_a_message_ends_no_generation_where_return_and_call_do(
    others: list[str], expected: set[int]
) -> None:
    added = [(text, CONTROL) for text in ("<|end|>", *others)]

    assert expected == tokenizer_of(*added).eog_token_ids


@pytest.mark.parametrize(
    ("pre", "keys", "expected"),
    [
        pytest.param("qwen2", {"bos_token_id": 0}, False, id="qwen2 does not"),
        pytest.param("llama-bpe", {"bos_token_id": 0}, True, id="llama-bpe does"),
        pytest.param("qwen2", {"bos_token_id": 0, "add_bos_token": True}, True, id="the file says yes"),
        pytest.param("llama-bpe", {"bos_token_id": 0, "add_bos_token": False}, False, id="the file says no"),
        pytest.param("llama-bpe", {}, False, id="there is no BOS"),
    ],
)
def test_bos_is_added_as_the_file_or_else_the_pre_tokenizer_says(
    pre: str, keys: dict[str, MetadataValue], expected: bool
) -> None:
    assert expected == tokenizer_of(pre=pre, keys=keys).adds_bos


def test_without_bos_in_the_vocabulary_none_is_added() -> None:
    assert ids_of("a") == tokenizer_of().encode("a", add_bos=True, parse_special=False)
