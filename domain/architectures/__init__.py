"""Model families: what to compute, told from a file's metadata and tensor table.

A new architecture is one new module and one line in `_FAMILIES`.
"""

from collections.abc import Callable, Mapping

from domain.architectures.gpt2 import describe_gpt2
from domain.architectures.gpt_oss import describe_gpt_oss
from domain.architectures.llama import describe_llama, describe_qwen2, describe_qwen3
from domain.architectures.phi3 import describe_phi3
from domain.metadata import refusal, require_str, shown
from ports.model_description import ModelDescription
from ports.model_file import ModelFile

_ARCHITECTURE_KEY = "general.architecture"

_FAMILIES: Mapping[str, Callable[[ModelFile], ModelDescription]] = {
    "gpt": describe_gpt2,
    "gpt-oss": describe_gpt_oss,
    "gpt2": describe_gpt2,
    "gptoss": describe_gpt_oss,
    "llama": describe_llama,
    "phi3": describe_phi3,
    "qwen2": describe_qwen2,
    "qwen3": describe_qwen3,
}


def describe(file: ModelFile) -> ModelDescription:
    """Describe the model in `file`, by its `general.architecture` and nothing else.

    Raises:
        ModelLoadFailed: the architecture is not supported, or the file does not hold what it needs; the
            message names file, check, what was expected and what it got.
    """
    architecture = require_str(file, _ARCHITECTURE_KEY)
    if architecture not in _FAMILIES:
        expected = f"one of {', '.join(supported_architectures())}"
        raise refusal(file, _ARCHITECTURE_KEY, expected=expected, actual=shown(architecture))
    return _FAMILIES[architecture](file)


def supported_architectures() -> tuple[str, ...]:
    """Values of `general.architecture` that can be served, sorted."""
    return tuple(sorted(_FAMILIES))
