"""Which tokenizer a model gets."""

from pathlib import Path
from shutil import copy

import pytest

from adapters_outbound.gguf.opener import GgufModelFileOpener
from app.tokenizer_choice import choose_tokenizer
from domain.errors import ModelLoadFailed
from tests.models.memory_file import MemoryModelFile

ROOT = Path(__file__).resolve().parents[2]


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


def test_an_architecture_that_is_no_text_is_none_that_prefers_the_file(tmp_path: Path) -> None:
    file = file_of("gpt-oss", tmp_path / "model.gguf")
    file.metadata["general.architecture"] = ["gpt-oss"]

    assert "gguf-bpe" == choose_tokenizer(file, None).kind


@pytest.mark.req("M0-W-1360")
def test_a_tokenizer_that_is_not_there_is_named(tmp_path: Path) -> None:
    choice = choose_tokenizer(file_of("llama", tmp_path / "model.gguf"), str(tmp_path / "gone.json"))

    with pytest.raises(ModelLoadFailed, match=r"gone\.json"):
        choice.build(file_of("llama", tmp_path / "model.gguf"))


@pytest.mark.req("M0-W-1360", "M0-W-1422")
def test_a_tokenizer_without_files_beside_it_has_the_ids_that_the_model_file_names(tmp_path: Path) -> None:
    copied = copy(ROOT / "tools/haiku/tokenizer.json", tmp_path)
    file = GgufModelFileOpener().open(str(ROOT / "app/models/haiku-q4_k_m.gguf"))
    embedded = choose_tokenizer(file, None).build(file)
    named = choose_tokenizer(file, str(copied)).build(file)
    file.close()

    assert ("hf-json", 0, 1, True) == (named.kind, named.bos_token_id, named.eos_token_id, named.adds_bos)
    assert embedded.eog_token_ids == named.eog_token_ids
    assert embedded.encode("rain", add_bos=True, parse_special=True) == (
        named.encode("rain", add_bos=True, parse_special=True)
    )
