"""`worker-orcd perplexity` on the model on board."""

import json
from pathlib import Path

import pytest

import app.models
from app.demo import MODEL_ON_BOARD
from app.main import main

MODEL = str(Path(app.models.__file__).parent / MODEL_ON_BOARD)
HAIKU = "the soft rain of spring\na gray wave hides past the shore\nthe old hare waits now\n"


@pytest.fixture
def text(tmp_path: Path) -> str:
    path = tmp_path / "text.txt"
    path.write_text(HAIKU * 20)
    return str(path)


def test_it_prints_perplexity_and_its_error(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["perplexity", MODEL, "--text", text, "--context", "64", "--json"])
    result = json.loads(capsys.readouterr().out)

    assert 1 < result["perplexity"] < 4096, "one that knows nothing has the vocabulary's size"
    assert 0 < result["standard_error"] < result["perplexity"]
    assert (31 * result["windows"], 64, "fake") == (result["tokens"], result["context"], result["backend"])


def test_it_prints_a_line_for_people(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["perplexity", MODEL, "--text", text, "--context", "128"])

    assert capsys.readouterr().out.startswith("perplexity ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([MODEL, "--text", "/nowhere.txt"], "/nowhere.txt"),
        ([MODEL, "--text", MODEL], f"{MODEL} is not UTF-8"),
        (["/nowhere.gguf", "--text", "TEXT"], "/nowhere.gguf"),
        ([MODEL, "--text", "TEXT", "--context", "100000"], "tokens"),
        ([MODEL, "--text", "TEXT", "--context", "64", "--backend", "cuda"], "device 0 not found"),
    ],
)
def test_what_cannot_be_measured_is_said_in_a_line(
    arguments: list[str], words: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [text if argument == "TEXT" else argument for argument in arguments]

    assert 1 == main(["perplexity", *given])
    assert words in capsys.readouterr().err
