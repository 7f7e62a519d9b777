"""Every pre-tokenizer's words against those another engine finds, and the names that mean the same rule."""

import json
from pathlib import Path
from typing import Any

import pytest

from adapters_outbound.tokenizers.pre_tokenizers import PRE_TOKENIZER_RULES

pytestmark = pytest.mark.req("M0-W-1362", "M0-W-1363")

VECTORS: dict[str, Any] = json.loads(
    Path(__file__).with_name("word_vectors.json").read_text(encoding="ascii")
)


@pytest.mark.parametrize("name", VECTORS["lengths"])
def test_text_is_cut_where_the_patterns_of_the_model_cut_it(name: str) -> None:
    pre_tokenizer = PRE_TOKENIZER_RULES[name].build()

    actual = [
        [end - start for _, (start, end) in pre_tokenizer.pre_tokenize_str(text)] for text in VECTORS["texts"]
    ]

    assert VECTORS["lengths"][name] == actual


def test_every_rule_has_vectors() -> None:
    tested = {PRE_TOKENIZER_RULES[name].patterns for name in VECTORS["lengths"]}

    assert tested == {rule.patterns for rule in PRE_TOKENIZER_RULES.values()}


@pytest.mark.parametrize(
    ("name", "same_as"),
    [
        pytest.param("smollm", "starcoder", id="digits one by one"),
        pytest.param("refact", "starcoder", id="digits one by one too"),
        pytest.param("command-r", "starcoder", id="and these"),
        pytest.param("mpt", "gpt-2", id="GPT-2"),
        pytest.param("stablelm2", "qwen2", id="Qwen 2"),
        pytest.param("llama4", "gpt-4o", id="o200k"),
        pytest.param("lfm2", "llama-bpe", id="Llama 3"),
    ],
)
def test_names_that_mean_the_same_rule_have_it(name: str, same_as: str) -> None:
    assert PRE_TOKENIZER_RULES[same_as] == PRE_TOKENIZER_RULES[name]


def test_the_pattern_of_llama_3_does_not_bring_its_other_rules_along() -> None:
    llama, dbrx = PRE_TOKENIZER_RULES["llama-bpe"], PRE_TOKENIZER_RULES["dbrx"]

    assert llama.patterns == dbrx.patterns
    assert (True, True) == (llama.ignore_merges, llama.adds_bos)
    assert (False, False) == (dbrx.ignore_merges, dbrx.adds_bos)
