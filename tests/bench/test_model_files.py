"""Which file the GPU benchmark measures, and what is left of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.gpu.model_files import ON_BOARD, model_file
from tools.true_size.model_shape import MODELS, PHI_3_MINI

NAME = "small"
SMALL = replace(PHI_3_MINI, name=NAME, num_layers=1, hidden_size=256, intermediate_size=256, vocab_size=2000)


@pytest.fixture(autouse=True)
def _small_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, NAME, SMALL)


def test_the_model_on_board_is_measured_where_it_lies() -> None:
    with model_file(ON_BOARD, None) as path:
        assert path.is_file()
    assert path.is_file()


def test_a_temporary_file_goes_with_its_folder() -> None:
    with model_file(NAME, None) as path:
        assert path.is_file()
    assert not path.parent.exists()


def test_a_missing_file_is_written_into_the_folder_that_is_named_and_stays(tmp_path: Path) -> None:
    with model_file(NAME, tmp_path) as path:
        assert path.stat().st_size > 1_000_000

    assert [path] == list(tmp_path.iterdir())


def test_a_file_that_is_there_is_measured_as_it_is(tmp_path: Path) -> None:
    there = tmp_path / SMALL.file_name
    there.write_bytes(b"as it is")
    with model_file(NAME, tmp_path) as path:
        assert b"as it is" == path.read_bytes()

    assert there == path
