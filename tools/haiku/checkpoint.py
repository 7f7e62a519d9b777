"""The trained weights on disk: half floats in two files, each under 16 MiB."""

from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from tools.haiku.model import HaikuModel

NUM_FILES = 2


def file_paths(folder: Path) -> list[Path]:
    return [folder / f"haiku-{i + 1}-of-{NUM_FILES}.safetensors" for i in range(NUM_FILES)]


def save_checkpoint(model: HaikuModel, folder: Path) -> None:
    """Deal the tensors out in order of their names."""
    state = {name: value.half().contiguous() for name, value in sorted(model.state_dict().items())}
    names = list(state)
    for i, path in enumerate(file_paths(folder)):
        save_file({name: state[name] for name in names[i::NUM_FILES]}, path)


def load_checkpoint(folder: Path) -> dict[str, Tensor]:
    """Float32 state of a HaikuModel."""
    return {name: value.float() for path in file_paths(folder) for name, value in load_file(path).items()}
