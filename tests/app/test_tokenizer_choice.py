"""Which tokenizer a model gets."""

from pathlib import Path

import pytest

from app.tokenizer_choice import choose_tokenizer
from domain.errors import ModelLoadFailed
from tests.models.memory_file import MemoryModelFile


def file_of(architecture: str, path: Path) -> MemoryModelFile:
    file = MemoryModelFile()
    file.path = str(path)
    file.metadata["general.architecture"] = architecture
    return file


@pytest.mark.req("M0-W-1360")
@pytest.mark.parametrize(
    ("architecture", "beside", "option", "kind"),
    [
        ("llama", False, None, "gguf-bpe"),
        ("llama", True, None, "gguf-bpe"),
        ("gpt-oss", False, None, "gguf-bpe"),
        ("gpt-oss", True, None, "hf-json"),
        ("llama", False, "/some/tokenizer.json", "hf-json"),
        ("gpt-oss", True, "/some/tokenizer.json", "hf-json"),
    ],
)
def test_the_option_comes_first_then_the_file_beside_a_gpt_oss_model(
    architecture: str, beside: bool, option: str | None, kind: str, tmp_path: Path
) -> None:
    if beside:
        (tmp_path / "tokenizer.json").write_text("{}")
    choice = choose_tokenizer(file_of(architecture, tmp_path / "model.gguf"), option)

    assert kind == choice.kind
    assert (option or choice.json_path) == choice.json_path
    assert choice.reason


@pytest.mark.req("M0-W-1360")
def test_a_tokenizer_that_is_not_there_is_named(tmp_path: Path) -> None:
    choice = choose_tokenizer(file_of("llama", tmp_path / "model.gguf"), str(tmp_path / "gone.json"))

    with pytest.raises(ModelLoadFailed, match=r"gone\.json"):
        choice.build(file_of("llama", tmp_path / "model.gguf"))
