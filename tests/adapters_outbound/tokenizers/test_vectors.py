"""Small vocabularies of every pre-tokenizer against the `tokenizers` library's own tokenizer."""

from functools import cache

import pytest

from adapters_outbound.tokenizers.factory import build_tokenizer
from ports.tokenizer import Tokenizer
from tests.adapters_outbound.tokenizers.vectors import Vector, load_vector_sets

pytestmark = pytest.mark.req("M0-W-1362", "M0-W-1363", "M0-W-1365")

CASES = [
    pytest.param(
        pre, vector, id=f"{pre}: {vector.description}{', as markup' if vector.parse_special else ''}"
    )
    for pre, vectors in load_vector_sets().items()
    for vector in vectors.vectors
]


@cache
def tokenizer_of(pre: str) -> Tokenizer:
    return build_tokenizer(load_vector_sets()[pre].metadata, path="vectors.json")


@pytest.mark.parametrize(("pre", "vector"), CASES)
def test_the_ids_are_those_of_the_library(pre: str, vector: Vector) -> None:
    actual = tokenizer_of(pre).encode(vector.text, add_bos=False, parse_special=vector.parse_special)

    assert vector.ids == actual


@pytest.mark.parametrize(("pre", "vector"), CASES)
def test_the_bytes_of_the_ids_join_to_the_text_of_the_library(pre: str, vector: Vector) -> None:
    tokenizer = tokenizer_of(pre)

    assert vector.decoded == b"".join(map(tokenizer.decode_bytes, vector.ids)).decode()
