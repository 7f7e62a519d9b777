"""Write the model as GGUF files, one a quantization mix.

Command: python -m tools.haiku.export [--source build/haiku/checkpoint] [--out build/haiku]
The source is the folder of a training run, or a GGUF file: by default the model on board, whose weights are
then quantized a second time. The Q4_K_M file of a training run is the model on board: copy it to app/models/.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType
from gguf.quants import dequantize
from numpy.typing import NDArray
from tokenizers import Tokenizer

from adapters_outbound.gguf.opener import GgufModelFileOpener
from tools.gguf_export.metadata import WritableValue
from tools.gguf_export.writer import TensorToWrite, quantize_tensor, write_gguf
from tools.haiku.gguf_metadata import model_metadata
from tools.haiku.quant_mix import MIXES, tensor_kind
from tools.haiku.tokenizer import load_tokenizer

Weights = Mapping[str, NDArray[np.float32]]

HEAD_DIM = 32
MODEL_ON_BOARD = Path("app/models/haiku-q4_k_m.gguf")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, default=MODEL_ON_BOARD)
    parser.add_argument("--out", type=Path, default=Path("build/haiku"))
    parser.add_argument("--mix", choices=MIXES, nargs="*", default=MIXES)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    weights, tokenizer = read_weights(arguments.source), load_tokenizer()
    for mix in arguments.mix:
        path = arguments.out / f"haiku-{mix.lower()}.gguf"
        write_model(path, weights, tokenizer, mix)
        print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


def read_weights(source: Path) -> dict[str, NDArray[np.float32]]:
    """All tensors of a checkpoint folder or a GGUF file under their GGUF names, float32."""
    return read_checkpoint(source) if source.is_dir() else read_gguf(source)


def read_checkpoint(folder: Path) -> dict[str, NDArray[np.float32]]:
    from safetensors.numpy import load_file  # noqa: PLC0415 only who has trained needs it

    weights: dict[str, NDArray[np.float32]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        for name, values in load_file(path).items():
            weights[gguf_name(name)] = values.astype(np.float32)
    return weights


def read_gguf(path: Path) -> dict[str, NDArray[np.float32]]:
    file = GgufModelFileOpener().open(str(path))
    weights: dict[str, NDArray[np.float32]] = {}
    for name, tensor in file.tensors.items():
        stored = np.array(file.read(tensor, offset_bytes=0, size_bytes=tensor.size_bytes))
        values = dequantize(stored, GGMLQuantizationType(tensor.type))
        weights[name] = values.astype(np.float32).reshape(tensor.shape)
    file.close()
    return weights


def gguf_name(name: str) -> str:
    """The parameters are named as GGUF names them; only the embedding lacks its suffix."""
    return name if name.endswith(".weight") else f"{name}.weight"


def write_model(path: Path, weights: Weights, tokenizer: Tokenizer, mix: str) -> None:
    """RoPE turns adjacent pairs in training as in GGUF's `llama`: no row needs to move."""
    metadata = describe(weights, tokenizer, mix)
    num_layers = layer_count(weights)
    tensors = [
        quantize_tensor(name, weights[name], tensor_kind(name, mix, num_layers))
        for name in sorted(weights, key=file_order)
    ]
    check_rows(tensors)
    write_gguf(path, metadata=metadata, tensors=tensors)


def describe(weights: Weights, tokenizer: Tokenizer, mix: str) -> dict[str, WritableValue]:
    return model_metadata(
        mix=mix,
        hidden_size=weights["token_embd.weight"].shape[1],
        intermediate_size=weights["blk.0.ffn_gate.weight"].shape[0],
        num_layers=layer_count(weights),
        num_heads=weights["blk.0.attn_q.weight"].shape[0] // HEAD_DIM,
        num_kv_heads=weights["blk.0.attn_k.weight"].shape[0] // HEAD_DIM,
        tokenizer=tokenizer,
    )


def layer_count(weights: Weights) -> int:
    return 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("blk."))


def file_order(name: str) -> tuple[int, str]:
    """The embedding, the layers in order, the last norm."""
    parts = name.split(".")
    if parts[0] == "blk":
        return int(parts[1]), name
    return (-1, name) if parts[0] == "token_embd" else (10_000, name)


def check_rows(tensors: list[TensorToWrite]) -> None:
    """Every matrix row is a multiple of 256, so that no block type needs a substitute."""
    odd = [tensor.name for tensor in tensors if len(tensor.shape) == 2 and tensor.shape[1] % 256]
    if odd:
        raise ValueError(f"rows that are no multiple of 256: {odd}")


if __name__ == "__main__":
    main()
