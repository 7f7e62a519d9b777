"""Fake quantization for training: see the weights as a Q4_K or Q6_K file would hold them.

The forward pass uses the rounded weight, the gradient passes straight through to the real one
(Bengio et al. 2013, arXiv:1308.3432). The rounding is the plain minimum/maximum form of the blocks;
the exporter searches better scales, so the file is at least as close to the weights as this.
"""

from collections.abc import Callable

import torch
from torch import Tensor

FakeQuant = Callable[[Tensor], Tensor]


def no_quant(weight: Tensor) -> Tensor:
    return weight


def fake_q4_k(weight: Tensor) -> Tensor:
    """Super-blocks of 8 x 32: value = d*scale*q - dmin*minimum, q in 0..15, scale and minimum in 0..63."""
    blocks = weight.detach().float().reshape(-1, 8, 32)
    low = blocks.amin(-1, keepdim=True).clamp(max=0.0)
    scale = (blocks.amax(-1, keepdim=True).clamp(min=0.0) - low) / 15
    step, minimum = six_bit(scale), six_bit(-low)
    q = torch.round((blocks + minimum) / step.clamp(min=1e-12)).clamp(0, 15)
    return through((q * step - minimum).reshape(weight.shape), weight)


def six_bit(values: Tensor) -> Tensor:
    """Round the [.., 8, 1] scales of a super-block to six bits of their largest, itself a half float."""
    unit = half(values.amax(1, keepdim=True) / 63)
    return torch.round(values / unit.clamp(min=1e-12)).clamp(0, 63) * unit


def fake_q6_k(weight: Tensor) -> Tensor:
    """Super-blocks of 16 x 16: value = d*scale*q, q in -32..31, scale an int8."""
    blocks = weight.detach().float().reshape(-1, 16, 16)
    scale = blocks.abs().amax(-1, keepdim=True) / 31
    unit = half(scale.amax(1, keepdim=True) / 127)
    step = torch.round(scale / unit.clamp(min=1e-12)).clamp(0, 127) * unit
    q = torch.round(blocks / step.clamp(min=1e-12)).clamp(-32, 31)
    return through((q * step).reshape(weight.shape), weight)


def half(values: Tensor) -> Tensor:
    return values.to(torch.float16).float()


def through(rounded: Tensor, weight: Tensor) -> Tensor:
    """Value of `rounded`, gradient of `weight`."""
    return weight + (rounded.type_as(weight) - weight).detach()
