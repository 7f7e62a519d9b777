"""`tokenizer.json`: the library's own ids, and what the files beside it say."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import Model, Unigram
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.processors import TemplateProcessing

from adapters_outbound.tokenizers.hf_json import HfJsonTokenizer, build_hf_json
from adapters_outbound.tokenizers.metadata_reader import MetadataReader
from domain.errors import ModelLoadFailed
from tests.adapters_outbound.tokenizers.hf_files import (
    byte_level_tokenizer,
    save,
    sentencepiece_tokenizer,
)
from tests.adapters_outbound.tokenizers.make_vectors import TEXTS
from tests.adapters_outbound.tokenizers.sentencepiece_sets import load_sentencepiece_sets
from tests.adapters_outbound.tokenizers.vectors import load_vector_sets

pytestmark = pytest.mark.req("M0-W-1361", "M0-W-1363", "M0-W-1365")

BUILDERS = [
    pytest.param(byte_level_tokenizer, id="byte-level"),
    pytest.param(sentencepiece_tokenizer, id="sentencepiece"),
]


@pytest.fixture(params=BUILDERS)
def library(request: pytest.FixtureRequest) -> Tokenizer:
    library: Tokenizer = request.param()
    return library


def built(library: Tokenizer, folder: Path, **side_files: object) -> HfJsonTokenizer:
    files = {name: json.dumps(content) for name, content in side_files.items()}
    return build_hf_json(save(library, folder, **files))


def test_the_ids_are_the_librarys_with_and_without_special_tokens(library: Tokenizer, tmp_path: Path) -> None:
    tokenizer = built(library, tmp_path)

    for parse_special in (True, False):
        library.encode_special_tokens = not parse_special
        for text in TEXTS.values():
            expected = library.encode(text, add_special_tokens=False).ids
            assert expected == tokenizer.encode(text, add_bos=False, parse_special=parse_special)


def test_the_bytes_join_to_the_text_of_the_library(library: Tokenizer, tmp_path: Path) -> None:
    tokenizer = built(library, tmp_path)

    for text in TEXTS.values():
        ids = library.encode(text, add_special_tokens=False).ids
        decoded = b"".join(map(tokenizer.decode_bytes, ids)).decode()
        # the library takes one blank from the start of a text, which one token alone cannot know
        assert library.decode(ids) == decoded.removeprefix(" " if tokenizer.adds_space_prefix else "")


def test_a_prompt_is_what_the_library_makes_of_it(tmp_path: Path) -> None:
    library = sentencepiece_tokenizer()
    tokenizer = built(library, tmp_path)

    assert tokenizer.adds_bos
    assert library.encode("The llama").ids == tokenizer.encode("The llama", add_bos=True, parse_special=True)


def test_it_has_the_ids_of_the_vectors_of_both_kinds(tmp_path: Path) -> None:
    byte_level = built(byte_level_tokenizer(), tmp_path)
    for vector in load_vector_sets()["gpt-2"].vectors:
        assert vector.ids == byte_level.encode(vector.text, add_bos=False, parse_special=vector.parse_special)

    by_score = built(sentencepiece_tokenizer(), tmp_path)
    for text, ids in load_sentencepiece_sets()["byte fallback"].vectors:
        if "<tool>" not in text:
            assert ids == by_score.encode(text, add_bos=False, parse_special=False)


def test_a_special_token_that_takes_the_blanks_beside_it_does_so(tmp_path: Path) -> None:
    library = byte_level_tokenizer()
    library.add_special_tokens([AddedToken("<|x|>", lstrip=True, rstrip=True, normalized=False)])
    x = library.token_to_id("<|x|>")
    z, q = library.encode("zq").ids

    assert [z, x, q] == built(library, tmp_path).encode("z <|x|> q", add_bos=False, parse_special=True)


def test_limits_of_length_in_the_file_cut_nothing(tmp_path: Path) -> None:
    library = byte_level_tokenizer()
    library.enable_truncation(3)
    library.enable_padding(length=64)

    assert 5 == len(built(library, tmp_path).encode("1 2 3", add_bos=False, parse_special=True))


@pytest.mark.req("M0-W-1422")
def test_the_files_beside_it_name_bos_eos_and_the_longest_context(tmp_path: Path) -> None:
    library = byte_level_tokenizer()
    end, start, stop = (library.token_to_id(f"<|{name}|>") for name in ("endoftext", "im_start", "im_end"))
    tokenizer = built(
        library,
        tmp_path,
        tokenizer_config={"bos_token": {"content": "<|im_start|>"}, "model_max_length": 32768},
        special_tokens_map={"bos_token": "<|endoftext|>", "eos_token": "<|im_end|>"},
        generation_config={"eos_token_id": [7, end], "bos_token_id": 3},
    )

    assert (start, stop) == (tokenizer.bos_token_id, tokenizer.eos_token_id)
    assert {7, end, stop} == tokenizer.eog_token_ids
    assert 32768 == tokenizer.model_max_context
    assert ("hf-json", False) == (tokenizer.kind, tokenizer.adds_bos)


@pytest.mark.req("M0-W-1422")
def test_ids_in_the_generation_config_are_enough(tmp_path: Path) -> None:
    tokenizer = built(
        byte_level_tokenizer(), tmp_path, generation_config={"eos_token_id": 7, "bos_token_id": 3}
    )

    assert (3, 7) == (tokenizer.bos_token_id, tokenizer.eos_token_id)
    assert 7 in tokenizer.eog_token_ids


@pytest.mark.req("M0-W-1422")
def test_alone_it_has_known_ends_the_bos_of_its_template_and_no_limit(tmp_path: Path) -> None:
    library = sentencepiece_tokenizer()
    tokenizer = built(library, tmp_path)

    assert (1, None) == (tokenizer.bos_token_id, tokenizer.eos_token_id)
    assert {library.token_to_id("</s>"), library.token_to_id("<|im_end|>")} == tokenizer.eog_token_ids
    assert tokenizer.model_max_context is None


@pytest.mark.req("M0-W-1422")
def test_an_end_that_the_template_adds_is_no_beginning(tmp_path: Path) -> None:
    library = sentencepiece_tokenizer()
    library.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 2)])
    tokenizer = built(library, tmp_path)

    assert (None, False) == (tokenizer.bos_token_id, tokenizer.adds_bos)


def with_model(
    library: Tokenizer, folder: Path, keys: dict[str, Any], **side_files: object
) -> HfJsonTokenizer:
    """As `built`, for a model file with `keys` of `tokenizer.ggml`."""
    path = save(library, folder, **{name: json.dumps(content) for name, content in side_files.items()})
    metadata = {f"tokenizer.ggml.{key}": value for key, value in keys.items()}
    return build_hf_json(path, model=MetadataReader(metadata, path="/models/m.gguf"))


@pytest.mark.req("M0-W-1422")
def test_what_the_model_file_names_as_an_end_is_one_where_the_vocabulary_has_it(tmp_path: Path) -> None:
    library = byte_level_tokenizer()
    known = built(library, tmp_path).eog_token_ids
    keys = {
        "eos_token_id": 3,
        "eot_token_id": 4,
        "eom_token_id": 2**31,
        "eos_token_ids": np.array([5, 2**31]),
    }

    assert known | {3, 4, 5} == with_model(library, tmp_path, keys).eog_token_ids


def test_the_model_files_bos_and_eos_count_where_the_others_name_none(tmp_path: Path) -> None:
    keys = {"bos_token_id": 3, "eos_token_id": 4, "add_bos_token": True}
    alone = with_model(byte_level_tokenizer(), tmp_path, keys)
    beside = with_model(
        byte_level_tokenizer(),
        tmp_path,
        keys,
        tokenizer_config={"add_bos_token": False},
        generation_config={"bos_token_id": 7, "eos_token_id": 8},
    )

    assert (3, 4, True) == (alone.bos_token_id, alone.eos_token_id, alone.adds_bos)
    assert (7, 8, False) == (beside.bos_token_id, beside.eos_token_id, beside.adds_bos)
    assert {4, 8} <= beside.eog_token_ids


def test_what_the_template_puts_first_counts_before_what_the_model_file_says(tmp_path: Path) -> None:
    keys = {"bos_token_id": 3, "add_bos_token": False}
    tokenizer = with_model(sentencepiece_tokenizer(), tmp_path, keys)

    assert (1, True) == (tokenizer.bos_token_id, tokenizer.adds_bos)


def test_a_model_file_whose_end_is_no_id_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadFailed, match=r"^/models/m\.gguf: tokenizer\.ggml\.eot_token_id: expected"):
        with_model(byte_level_tokenizer(), tmp_path, {"eot_token_id": "<|im_end|>"})


def test_a_limit_that_means_none_is_none(tmp_path: Path) -> None:
    config = {"model_max_length": 1000000000000000019884624838656}

    assert built(byte_level_tokenizer(), tmp_path, tokenizer_config=config).model_max_context is None


def test_the_size_covers_the_highest_id(library: Tokenizer, tmp_path: Path) -> None:
    assert max(library.get_vocab().values()) + 1 == built(library, tmp_path).vocab_size


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(Unigram([("<unk>", 0.0), ("a", -1.0)], unk_id=0), id="with a token for unknown text"),
        pytest.param(Unigram([(byte, -1.0) for byte in ByteLevel.alphabet()]), id="of all bytes"),
    ],
)
def test_a_model_that_fails_on_no_text_is_built(model: Model, tmp_path: Path) -> None:
    library = Tokenizer(model)
    library.pre_tokenizer, library.decoder = ByteLevel(add_prefix_space=False), ByteLevelDecoder()

    expected = library.encode("b \U00012031").ids
    assert expected == built(library, tmp_path).encode("b \U00012031", add_bos=False, parse_special=True)
