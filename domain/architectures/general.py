"""What every file says under `general.*`, whatever its architecture."""

from pathlib import PurePath

from domain.metadata import optional_int, optional_str, refusal
from domain.quant_kind import quant_kind
from ports.model_file import ModelFile

_NAME_KEY, _FILE_TYPE_KEY = "general.name", "general.file_type"
_LONGEST_NAME = 256  # in characters; it is in every answer of /health and in the log


def read_name(file: ModelFile) -> str:
    """The model's name; the file's own, without suffix, where it gives none.

    Raises:
        ModelLoadFailed: it is no text, or too long for a name.
    """
    name = optional_str(file, _NAME_KEY, default="")
    if len(name) > _LONGEST_NAME:
        actual = f"{len(name)} characters"
        raise refusal(file, _NAME_KEY, expected=f"at most {_LONGEST_NAME} characters", actual=actual)
    return name or PurePath(file.path).stem


def read_quant_kind(file: ModelFile) -> str:
    """See `quant_kind`. A file type that is no small integer is refused, not guessed around."""
    file_type = optional_int(file, _FILE_TYPE_KEY, default=-1, minimum=0, maximum=2**16)
    return quant_kind(file_type if _FILE_TYPE_KEY in file.metadata else None, file.tensors.values())
