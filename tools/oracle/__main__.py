"""Write `ARCHITECTURE.gguf` and `ARCHITECTURE.npz` for every toy model.

Usage: python -m tools.oracle [DIRECTORY]   (needs torch and transformers; written with 2.13 and 5.23)
"""

import sys
from pathlib import Path

import numpy as np
import torch
import transformers

from tools.gguf_export.writer import quantize_tensor, write_gguf
from tools.oracle.convert import convert
from tools.oracle.random_weights import fill_randomly
from tools.oracle.toys import TOYS, VOCAB_SIZE, Toy

_NUM_POSITIONS = 160  # beyond every window, and beyond every original context


def main() -> None:
    """Write every toy."""
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else "tests/golden")
    for index, toy in enumerate(TOYS):
        _write(toy, directory, index if toy.seed is None else toy.seed)


def _write(toy: Toy, directory: Path, seed: int) -> None:
    config = getattr(transformers, toy.config_class)(**toy.config, attn_implementation="eager")
    model = getattr(transformers, toy.model_class)(config).eval()
    fill_randomly(model, seed, toy.gains)
    token_ids = np.random.default_rng(seed).integers(0, VOCAB_SIZE, _NUM_POSITIONS)
    with torch.no_grad():
        logits = model(torch.tensor(token_ids)[None]).logits[0].numpy()
    tensors = [quantize_tensor(*tensor) for tensor in convert(toy, model.state_dict())]
    metadata = {"general.architecture": toy.architecture, "general.name": f"toy {toy.architecture}"}
    prefixed = {f"{toy.architecture}.{key}": value for key, value in toy.metadata.items()}
    write_gguf(directory / f"{toy.architecture}.gguf", metadata=metadata | prefixed, tensors=tensors)
    np.savez_compressed(directory / f"{toy.architecture}.npz", token_ids=token_ids, logits=logits)
    print(f"{toy.architecture}: {len(tensors)} tensors, logits {logits.shape}, spread {logits.std():.2f}")


if __name__ == "__main__":
    main()
