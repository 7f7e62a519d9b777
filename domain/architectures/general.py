"""What every file says under `general.*`, whatever its architecture."""

from pathlib import PurePath

from domain.metadata import optional_int, optional_str
from domain.quant_kind import quant_kind
from ports.model_file import ModelFile

_FILE_TYPE_KEY = "general.file_type"


def read_name(file: ModelFile) -> str:
    """The model's name; the file's own, without suffix, where it gives none."""
    return optional_str(file, "general.name", default="") or PurePath(file.path).stem


def read_quant_kind(file: ModelFile) -> str:
    """See `quant_kind`. A file type that is no small integer is refused, not guessed around."""
    file_type = optional_int(file, _FILE_TYPE_KEY, default=-1, minimum=0, maximum=2**16)
    return quant_kind(file_type if _FILE_TYPE_KEY in file.metadata else None, file.tensors.values())
