"""GPT-OSS's tokenizer, both ways that its files bring it, against ids of the publisher's own library.

Real ids of a real vocabulary, of which `gpt_oss_vectors.json` holds the part that the texts can need;
`make_gpt_oss_vectors.py` made it.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import AddedToken, Regex
from tokenizers import Tokenizer as Library
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split

from adapters_outbound.tokenizers.factory import build_tokenizer
from adapters_outbound.tokenizers.hf_json import build_hf_json
from adapters_outbound.tokenizers.vocabulary import TokenType
from ports.model_file import MetadataValue
from ports.tokenizer import Tokenizer
from tests.adapters_outbound.tokenizers.hf_files import save

pytestmark = pytest.mark.req("M0-W-1363", "M0-W-1821", "M0-W-1361")

VOCAB_SIZE = 201_088
# as tiktoken has it: tiktoken_ext/openai_public.py, `o200k_base`
WORDS = "|".join(
    [
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    ]
)
FIXTURE: dict[str, Any] = json.loads(
    Path(__file__).with_name("gpt_oss_vectors.json").read_text(encoding="ascii")
)
VECTORS = [
    pytest.param(vector, id=f"{vector['description']}{', as markup' if vector['parse_special'] else ''}")
    for vector in FIXTURE["vectors"]
]


@cache
def hf_json(folder: Path) -> Tokenizer:
    """As the publisher's `tokenizer.json` has it, with the ids it has."""
    merges = [(left, right) for left, right in FIXTURE["merges"]]
    library = Library(BPE({**FIXTURE["tokens"], **FIXTURE["specials"]}, merges))
    library.pre_tokenizer = Sequence(
        [Split(Regex(WORDS), "isolated"), ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    library.decoder = ByteLevelDecoder()
    library.add_special_tokens([AddedToken(text, normalized=False) for text in FIXTURE["specials"]])
    config = json.dumps({"bos_token": "<|startoftext|>", "eos_token": "<|return|>"})
    return build_hf_json(save(library, folder, tokenizer_config=config))


@cache
def gguf_bpe(_folder: Path) -> Tokenizer:
    """As converters write it into a model file: a list in which every id has a token."""
    tokens = [f"[unused {token_id}]" for token_id in range(VOCAB_SIZE)]
    types = np.full(VOCAB_SIZE, TokenType.UNUSED, dtype=np.int32)
    for ids, token_type in ((FIXTURE["tokens"], TokenType.NORMAL), (FIXTURE["specials"], TokenType.CONTROL)):
        for token, token_id in ids.items():
            tokens[token_id], types[token_id] = token, token_type
    metadata: dict[str, MetadataValue] = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-4o",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.merges": [" ".join(pair) for pair in FIXTURE["merges"]],
        "tokenizer.ggml.bos_token_id": FIXTURE["specials"]["<|startoftext|>"],
        "tokenizer.ggml.eos_token_id": FIXTURE["specials"]["<|return|>"],
    }
    return build_tokenizer(metadata, path="gpt-oss.gguf")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gpt-oss")


@pytest.fixture(params=[hf_json, gguf_bpe], ids=["hf-json", "gguf-bpe"])
def tokenizer(request: pytest.FixtureRequest, folder: Path) -> Tokenizer:
    tokenizer: Tokenizer = request.param(folder)
    return tokenizer


@pytest.mark.parametrize("vector", VECTORS)
def test_the_ids_are_the_publishers(tokenizer: Tokenizer, vector: dict[str, Any]) -> None:
    actual = tokenizer.encode(vector["text"], add_bos=False, parse_special=vector["parse_special"])

    assert vector["ids"] == actual


@pytest.mark.parametrize("vector", VECTORS)
def test_the_publishers_ids_decode_to_the_text_without_its_markup(
    tokenizer: Tokenizer, vector: dict[str, Any]
) -> None:
    expected = vector["text"]
    for special in FIXTURE["specials"] if vector["parse_special"] else ():
        expected = expected.replace(special, "")

    assert expected == b"".join(map(tokenizer.decode_bytes, vector["ids"])).decode()


def test_there_are_as_many_pairs_as_are_asked_for() -> None:
    assert len(VECTORS) >= 20


@pytest.mark.req("M0-W-1422")
def test_a_turn_ends_with_return_call_or_the_end_of_the_text(tokenizer: Tokenizer) -> None:
    assert {199999, 200002, 200012} == tokenizer.eog_token_ids
