"""`tokenizer.json` files, and files beside them, that are refused; each by name."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from tokenizers.decoders import Metaspace
from tokenizers.decoders import WordPiece as WordPieceDecoder
from tokenizers.models import Model, Unigram, WordLevel, WordPiece

from adapters_outbound.tokenizers.hf_json import build_hf_json
from adapters_outbound.tokenizers.json_file import MAX_JSON_BYTES
from adapters_outbound.tokenizers.library_panics import panics_as_exceptions
from domain.errors import ModelLoadFailed
from tests.adapters_outbound.tokenizers.hf_files import byte_level_tokenizer, save

pytestmark = pytest.mark.req("M0-W-1361")

LONG = "\x1b[31m\n\u202e" + "x" * 100_000  # and what a terminal would act on
# names a special token that it does not define
TEMPLATE_OF_NOTHING = {
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [],
    "special_tokens": {},
}


def refusal_of(path: Path) -> str:
    with pytest.raises(ModelLoadFailed) as caught:
        build_hf_json(str(path))
    return caught.value.message


@pytest.mark.req("M0-W-1360")
def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"

    assert f"{path}: expected a file that can be read, found No such file or directory" == refusal_of(path)


@pytest.mark.req("M0-W-1360")
@pytest.mark.parametrize("name", ["tokenizer.json", "generation_config.json"])
def test_a_fifo_is_refused_without_waiting_for_its_writer(name: str, tmp_path: Path) -> None:
    path = Path(save(byte_level_tokenizer(), tmp_path))
    fifo = tmp_path / name
    fifo.unlink(missing_ok=True)
    os.mkfifo(fifo)

    assert f"{fifo}: expected a regular file, found a FIFO" == refusal_of(path)


@pytest.mark.req("M0-W-1360")
def test_a_device_that_never_ends_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.symlink_to("/dev/zero")

    assert f"{path}: expected a regular file, found a character device" == refusal_of(path)


@pytest.mark.req("M0-W-1360")
def test_a_file_that_is_too_large_is_refused_before_it_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    with path.open("wb") as file:
        file.truncate(2**40)  # sparse

    assert f"{path}: expected a file of at most {MAX_JSON_BYTES} bytes, found a larger one" == refusal_of(
        path
    )


@pytest.mark.req("M0-W-1360")
def test_a_path_that_no_system_takes_is_refused() -> None:
    assert "expected a file that can be read, found embedded null byte" in refusal_of(Path("m\0.json"))


@pytest.mark.req("M0-W-1360")
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b"{", "expected JSON in UTF-8, found ", id="cut off"),
        pytest.param(b"\xff\xfe\xff", "expected JSON in UTF-8, found ", id="not UTF-8"),
        pytest.param(b"[" * 100_000, "expected JSON in UTF-8, found JSON nested too deeply", id="deep"),
        pytest.param(b"[]", "expected a JSON object, found list", id="a list"),
        pytest.param(b"{}", "expected a decoder of ByteLevel, or of Metaspace", id="empty"),
        pytest.param(
            b'{"decoder": {"type": "ByteLevel"}}', "expected a tokenizer that the tokenizers", id="no model"
        ),
        pytest.param(b'{"decoder": {"type": "Sequence", "decoders": 5}}', "expected a decoder", id="no list"),
    ],
)
def test_a_broken_file_is_refused_by_name(content: bytes, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)

    assert refusal_of(path).startswith(f"{path}: {expected}")


@pytest.mark.req("M0-W-1360")
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            lambda content: content["model"].update(continuing_subword_prefix="##"), id="when it loads"
        ),
        pytest.param(
            lambda content: content.update(post_processor=TEMPLATE_OF_NOTHING), id="when it encodes"
        ),
    ],
)
def test_a_file_on_which_the_library_panics_is_refused_by_name(
    change: Callable[[dict[str, Any]], None], tmp_path: Path
) -> None:
    path = Path(save(byte_level_tokenizer(), tmp_path))
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))

    expected = f"{path}: expected a tokenizer on which the tokenizers library does not fail, found "
    assert refusal_of(path).startswith(expected)


def test_what_is_no_panic_stays_what_it_is() -> None:
    with pytest.raises(KeyboardInterrupt), panics_as_exceptions():
        raise KeyboardInterrupt


def test_a_decoder_whose_tokens_are_not_bytes_is_refused(tmp_path: Path) -> None:
    library = byte_level_tokenizer()
    library.decoder = WordPieceDecoder()

    assert refusal_of(Path(save(library, tmp_path))).endswith("ByteFallback, found 'WordPiece'")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"decoder": {"type": LONG}}, id="the kind of the decoder"),
        pytest.param({"version": LONG}, id="what the library quotes"),
    ],
)
def test_text_of_the_file_is_quoted_and_cut_before_it_goes_into_a_message(
    change: dict[str, Any], tmp_path: Path
) -> None:
    path = Path(save(byte_level_tokenizer(), tmp_path))
    path.write_text(json.dumps(json.loads(path.read_text()) | change))

    message = refusal_of(path).removeprefix(str(path))
    assert message.isprintable()
    assert len(message) < 250


@pytest.mark.req("M0-W-1360")
@pytest.mark.parametrize(
    "model",
    [
        pytest.param(Unigram([("a", -1.0)]), id="Unigram"),
        pytest.param(Unigram([("a", -1.0)], byte_fallback=True), id="Unigram, bytes for unknown"),
        pytest.param(WordLevel({"a": 0}, unk_token="<unk>"), id="WordLevel"),  # noqa: S106 no password
        pytest.param(WordPiece({"a": 0}, unk_token="<unk>"), id="WordPiece"),  # noqa: S106 no password
    ],
)
def test_a_model_that_fails_on_unknown_text_is_refused(model: Model, tmp_path: Path) -> None:
    library = Tokenizer(model)
    library.decoder = Metaspace()

    with pytest.raises(Exception, match=r"unk_id|\[UNK\]"):
        library.encode("b")
    assert "expected a token for what is unknown, which " in refusal_of(Path(save(library, tmp_path)))


def test_a_token_that_a_file_beside_it_names_is_quoted_and_cut(tmp_path: Path) -> None:
    config = json.dumps({"bos_token": LONG})
    path = Path(save(byte_level_tokenizer(), tmp_path, tokenizer_config=config))

    message = refusal_of(path).removeprefix(str(path))
    assert message.isprintable()
    assert len(message) < 250


@pytest.mark.req("M0-W-1360")
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        pytest.param("tokenizer_config", "{", "tokenizer_config.json: expected JSON in UTF-8", id="broken"),
        pytest.param(
            "generation_config", "[]", "generation_config.json: expected a JSON object", id="a list"
        ),
        pytest.param(
            "special_tokens_map",
            '{"eos_token": "<|no|>"}',
            "tokenizer.json: expected the token '<|no|>', which a file beside it names",
            id="an unknown token",
        ),
        pytest.param(
            "generation_config",
            '{"eos_token_id": 99999}',
            "tokenizer.json: expected a token with each id in eos_token_id, below",
            id="an unknown id",
        ),
        pytest.param(
            "generation_config",
            '{"bos_token_id": 4294967296}',
            "tokenizer.json: expected a token with each id in bos_token_id, below",
            id="an id of more than 32 bits",
        ),
        pytest.param(
            "generation_config",
            '{"bos_token_id": -1}',
            "tokenizer.json: expected a token with each id in bos_token_id, below",
            id="an id below zero",
        ),
        pytest.param(
            "tokenizer_config",
            '{"eos_token": "\\ud800"}',
            "tokenizer.json: expected the token '\\ud800', which a file beside it names",
            id="a token that is no text",
        ),
    ],
)
def test_a_file_beside_it_that_does_not_hold_is_refused(
    name: str, content: str, message: str, tmp_path: Path
) -> None:
    path = Path(save(byte_level_tokenizer(), tmp_path, **{name: content}))

    assert refusal_of(path).startswith(f"{tmp_path}/{message}")
