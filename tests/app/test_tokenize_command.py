"""`worker-orcd tokenize`, run in this process."""

import io
import json
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from app.tokenize_command import run_tokenize
from tests.adapters_outbound.tokenizers.hf_files import byte_level_tokenizer, save, sentencepiece_tokenizer
from tests.adapters_outbound.tokenizers.test_shared_vocabularies import path_of

pytestmark = pytest.mark.req("M0-W-1361", "M0-W-1362")

TEXT = " The llama\u2019s \U0001f999 <|im_end|>"


@pytest.fixture
def model() -> str:
    """A GGUF file with a byte-level vocabulary: the model on board."""
    return str(files("app.models") / "haiku-q4_k_m.gguf")


@pytest.fixture
def tokenizer_json(tmp_path: Path) -> str:
    config = json.dumps({"bos_token": "<|endoftext|>", "eos_token": "<|im_end|>"})
    return save(byte_level_tokenizer(), tmp_path, tokenizer_config=config)


def type_in(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def output_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert 0 == run_tokenize(arguments)
    captured = capsys.readouterr()
    assert "" == captured.err
    return captured.out


def refusal_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert 1 == run_tokenize(arguments)
    captured = capsys.readouterr()
    assert "" == captured.out
    assert 1 == captured.err.count("\n")
    return captured.err.removesuffix("\n")


@pytest.mark.parametrize("options", [[], ["--no-special"]])
@pytest.mark.parametrize("fixture", ["model", "tokenizer_json"])
def test_text_becomes_ids_and_ids_become_text(
    fixture: str, options: list[str], request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    path: str = request.getfixturevalue(fixture)
    text = TEXT if options else TEXT.removesuffix("<|im_end|>")

    line = output_of(capsys, path, text, *options)

    assert all(word.isdigit() for word in line.split())
    assert text + "\n" == output_of(capsys, path, "--decode", line)


def test_markup_is_one_id_unless_it_is_to_be_text(
    tokenizer_json: str, capsys: pytest.CaptureFixture[str]
) -> None:
    im_end = byte_level_tokenizer().token_to_id("<|im_end|>")

    assert f"{im_end}\n" == output_of(capsys, tokenizer_json, "<|im_end|>")
    assert f"{im_end}" not in output_of(capsys, tokenizer_json, "<|im_end|>", "--no-special").split()


def test_bos_comes_first_where_it_is_asked_for(
    tokenizer_json: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bos = byte_level_tokenizer().token_to_id("<|endoftext|>")
    ids = output_of(capsys, tokenizer_json, "the")

    assert f"{bos} {ids}" == output_of(capsys, tokenizer_json, "the", "--bos")


def test_json_says_what_the_tokenizer_is(tokenizer_json: str, capsys: pytest.CaptureFixture[str]) -> None:
    ids = [int(word) for word in output_of(capsys, tokenizer_json, TEXT).split()]

    encoded = json.loads(output_of(capsys, tokenizer_json, TEXT, "--json"))
    decoded = json.loads(output_of(capsys, tokenizer_json, json.dumps(ids), "--decode", "--json"))

    facts = {"tokenizer_kind": "hf-json", "vocab_size": byte_level_tokenizer().get_vocab_size()}
    assert facts | {"ids": ids, "count": len(ids)} == encoded
    assert facts | {"text": TEXT.removesuffix("<|im_end|>")} == decoded


def test_without_an_argument_standard_input_is_read_to_its_last_newline(
    tokenizer_json: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    type_in(monkeypatch, "\u00fcber\r\n\n".encode())
    ids = output_of(capsys, tokenizer_json)

    type_in(monkeypatch, ids.encode())
    assert "\u00fcber\r\n\n" + "\n" == output_of(capsys, tokenizer_json, "--decode")


def test_empty_text_has_no_ids_and_no_ids_no_text(
    tokenizer_json: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "\n" == output_of(capsys, tokenizer_json, "")
    assert "\n" == output_of(capsys, tokenizer_json, "", "--decode")


def test_the_blank_that_encoding_put_first_is_taken_away(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save(sentencepiece_tokenizer(), tmp_path)

    ids = output_of(capsys, path, "  the llama")

    assert "  the llama\n" == output_of(capsys, path, ids, "--decode")


def test_a_file_with_nothing_but_a_vocabulary_will_do(capsys: pytest.CaptureFixture[str]) -> None:
    path = path_of("phi-3")
    if not path.exists():
        pytest.skip(f"{path} is not there; WORKER_ORCD_TEST_DATA names the folder with vocab/")

    assert "1 15043 29871 32007\n" == output_of(capsys, str(path), "--bos", "Hello <|end|>")
    assert "Hello \n" == output_of(capsys, str(path), "--decode", "1,15043,29871,32007")


def test_a_missing_file_is_one_line_that_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("none.gguf", "none.json"):
        message = refusal_of(capsys, str(tmp_path / name), "a")

        assert message.startswith(f"worker-orcd tokenize: {tmp_path / name}: ")
        assert message.endswith("No such file or directory")


def test_a_file_of_another_kind_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("nothing of the kind", encoding="ascii")

    assert str(path) in refusal_of(capsys, str(path), "a")


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ("1 two 3", "expected token ids, found 'two'"),
        ("-1", "expected token ids, found '-1'"),
        ("1 999999", "expected token ids below 410, found 999999"),
    ],
)
def test_what_is_no_id_is_refused(
    ids: str, message: str, tokenizer_json: str, capsys: pytest.CaptureFixture[str]
) -> None:
    actual = refusal_of(capsys, tokenizer_json, "--decode", "--", ids)

    assert f"worker-orcd tokenize: {message}" == actual


def test_text_that_is_not_utf_8_is_refused(
    tokenizer_json: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    type_in(monkeypatch, b"ab\xff")

    assert "standard input is not UTF-8: invalid start byte at byte 2" in refusal_of(capsys, tokenizer_json)
    # as the interpreter hands over an argument that is not UTF-8
    assert "the text is not UTF-8" in refusal_of(capsys, tokenizer_json, "ab\udcff")


@pytest.mark.parametrize("arguments", [[], ["a", "b", "c"], ["a", "--nonsense"]])
def test_wrong_usage_has_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == run_tokenize(arguments)
    assert "usage: worker-orcd tokenize" in capsys.readouterr().err


def test_help_has_status_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run_tokenize(["--help"])
    assert "--no-special" in capsys.readouterr().out
