"""Random weights that a GGUF file holds exactly, large enough that every part of a model shows."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gguf import GGMLQuantizationType
from gguf.quants import dequantize

from ports.tensor_types import TensorType
from tools.gguf_export.quantize import quantize

# Standard deviation where it is not 1/sqrt(in), by a part of the parameter's name.
_SPREADS = {"wte": 0.5, "embed_tokens": 0.5, "wpe": 0.5, "bias": 0.3, "sinks": 1.0}
_GAINS = {
    "q_proj": 2.0,
    "k_proj": 2.0,
    "qkv_proj": 1.5,
    "c_attn": 1.5,
    "gate_up_proj": 4.0,
}  # uneven attention
_EXPERTS = ("experts.gate_up_proj", "experts.down_proj")


def fill_randomly(model: Any, seed: int, gains: Mapping[str, float]) -> None:
    """Give every parameter of a torch module seeded random values that F16, F32 or MXFP4 holds exactly.

    Args:
        model: the module.
        seed: of the values.
        gains: by a part of a parameter's name, instead of the usual ones.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(_exact(name, _scaled(name, noise, {**_GAINS, **gains})))


def _scaled(name: str, noise: Any, gains: Mapping[str, float]) -> Any:
    for part, spread in _SPREADS.items():
        if part in name:
            return spread * noise
    if noise.ndim == 1:  # norms
        return 1 + 0.3 * noise
    gain = next((gain for part, gain in gains.items() if part in name), 1.0)
    is_in_out = noise.ndim == 3 or ".c_" in name  # experts and GPT-2 keep [in, out]
    return gain * noise.shape[-2 if is_in_out else -1] ** -0.5 * noise


def _exact(name: str, values: Any) -> Any:
    if name.endswith(_EXPERTS):
        rows = np.ascontiguousarray(values.numpy().swapaxes(1, 2))
        stored = quantize(rows.reshape(-1, rows.shape[-1]), TensorType.MXFP4)
        rounded = dequantize(stored, GGMLQuantizationType.MXFP4).reshape(rows.shape)
        return torch.tensor(np.ascontiguousarray(rounded.swapaxes(1, 2)))
    return values.half().float() if values.ndim > 1 else values
