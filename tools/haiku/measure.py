"""Score GGUF files in PyTorch, with exactly the weights their blocks decode to.

The worker's own numbers come from `tools.haiku.evaluate`, over HTTP; this needs no worker.
Command: python -m tools.haiku.measure build/haiku/haiku-q4_k_m.gguf ...
"""

import argparse
from itertools import islice
from pathlib import Path

import torch
from gguf import GGUFReader
from gguf.quants import dequantize

from tools.haiku.corpus import MEASURED, random_pairs
from tools.haiku.evaluate import PROMPT_SEED
from tools.haiku.model import HaikuModel, ModelConfig
from tools.haiku.sampling import answer
from tools.haiku.scoring import HEADER, score
from tools.haiku.tokenizer import load_tokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--num-prompts", type=int, default=500)
    parser.add_argument("--seed", type=int, default=PROMPT_SEED)
    arguments = parser.parse_args()
    tokenizer = load_tokenizer()
    pairs = islice(random_pairs(arguments.seed, MEASURED), arguments.num_prompts)
    requests = [request for request, _ in pairs]
    print(HEADER)
    for path in arguments.files:
        model = load_gguf(path)
        for temperature in (0.0, 0.8):
            prompts = [request.prompt for request in requests]
            answers = answer(model, tokenizer, prompts, temperature=temperature, seed=arguments.seed)
            print(score(requests, answers).row(f"{path.stem}, temperature {temperature}"), flush=True)


def load_gguf(path: Path) -> HaikuModel:
    """Decode every block to float32."""
    model = HaikuModel(ModelConfig())
    names = {name if name.endswith(".weight") else f"{name}.weight": name for name in model.state_dict()}
    state = {
        names[tensor.name]: torch.from_numpy(dequantize(tensor.data, tensor.tensor_type).copy())
        for tensor in GGUFReader(path).tensors
    }
    model.load_state_dict(state)
    model.eval()
    return model


if __name__ == "__main__":
    main()
