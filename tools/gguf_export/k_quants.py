"""Quantize to the K-quants: super-blocks of 256 with scales that are themselves quantized.

Letters: B = super-blocks. Layouts: specification §10; ggml-common.h block_q4_K, block_q5_K, block_q6_K.
"""

import numpy as np
from numpy.typing import NDArray

from tools.gguf_export.scale_search import Steps, fit_scale, fit_scale_and_minimum

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

SUPER_BLOCK = 256


def quantize_q4_k(blocks: Floats) -> Bytes:
    """[B, 256] to [B, 144]: f16 d, f16 dmin, 12 bytes of scales and minima, 128 of nibbles."""
    header, levels = _scaled_levels(blocks, max_level=15, steps=Steps(-1.0, 0.1, 20))
    return np.concatenate([header, _pack_nibbles(levels)], axis=1)


def quantize_q5_k(blocks: Floats) -> Bytes:
    """[B, 256] to [B, 176]: as Q4_K, with 32 bytes of fifth bits before the nibbles."""
    header, levels = _scaled_levels(blocks, max_level=31, steps=Steps(-0.5, 0.1, 15))
    fifth_bits = np.packbits(levels >> 4, axis=1, bitorder="little").reshape(-1, 32)
    return np.concatenate([header, fifth_bits, _pack_nibbles(levels & np.uint8(15))], axis=1)


def quantize_q6_k(blocks: Floats) -> Bytes:
    """[B, 256] to [B, 210]: 128 bytes of low nibbles, 64 of high bit pairs, 16 i8 scales, f16 d."""
    scales = fit_scale(blocks.reshape(-1, 16), num_levels=64).reshape(-1, 16)
    peak = np.take_along_axis(scales, np.abs(scales).argmax(axis=1)[:, None], axis=1)
    d = _half(peak / np.float32(-128))  # negative: i8 reaches -128 but only 127
    steps = np.rint(_ratio(scales, _single(d))).clip(-128, 127).astype(np.int8)

    effective = _single(d) * steps
    levels = np.rint(_ratio(blocks.reshape(-1, 16, 16), effective[..., None])).clip(-32, 31) + 32
    codes = levels.astype(np.uint8).reshape(-1, 2, 128)
    low = (codes[..., :64] & 15) | (codes[..., 64:] << 4)
    pairs = (codes >> 4).reshape(-1, 2, 4, 32)
    high = pairs[:, :, 0] | pairs[:, :, 1] << 2 | pairs[:, :, 2] << 4 | pairs[:, :, 3] << 6
    parts = [low.reshape(-1, 128), high.reshape(-1, 64), steps.view(np.uint8), d.view(np.uint8)]
    return np.concatenate(parts, axis=1)


def _scaled_levels(blocks: Floats, *, max_level: int, steps: Steps) -> tuple[Bytes, Bytes]:
    """Header [B, 16] and levels [B, 8, 32] of a block with six-bit scales and minima."""
    groups = blocks.reshape(-1, 8, 32)
    scale, minimum = fit_scale_and_minimum(groups.reshape(-1, 32), max_level=max_level, steps=steps)
    d, scale_steps = _six_bits(scale.reshape(-1, 8))
    d_min, minimum_steps = _six_bits(minimum.reshape(-1, 8))

    # Levels again, from the scales as they are stored: this absorbs the rounding of the scales.
    stored_scale, stored_minimum = _single(d) * scale_steps, _single(d_min) * minimum_steps
    shifted = groups + stored_minimum[..., None]
    levels = np.rint(_ratio(shifted, stored_scale[..., None])).clip(0, max_level).astype(np.uint8)
    packed = _pack_six_bits(scale_steps, minimum_steps)
    return np.concatenate([d.view(np.uint8), d_min.view(np.uint8), packed], axis=1), levels


def _six_bits(values: Floats) -> tuple[NDArray[np.float16], Bytes]:
    """[B, 8] non-negative numbers as f16 unit [B, 1] and steps [B, 8] in [0, 63]."""
    unit = _half(values.max(axis=1, keepdims=True) / 63)
    return unit, np.rint(_ratio(values, _single(unit))).clip(0, 63).astype(np.uint8)


def _pack_six_bits(scales: Bytes, minima: Bytes) -> Bytes:
    """[B, 8] and [B, 8] to [B, 12]: entries 4 to 7 put their upper two bits above entries 0 to 3."""
    first = scales[:, :4] | (scales[:, 4:] >> 4) << 6
    second = minima[:, :4] | (minima[:, 4:] >> 4) << 6
    third = (scales[:, 4:] & 15) | (minima[:, 4:] & 15) << 4
    return np.concatenate([first, second, third], axis=1)


def _pack_nibbles(levels: Bytes) -> Bytes:
    """[B, 8, 32] to [B, 128]: of each 64 elements the first 32 are low nibbles, the others high."""
    pairs = levels.reshape(-1, 4, 2, 32)
    packed = pairs[:, :, 0] | pairs[:, :, 1] << np.uint8(4)
    return packed.reshape(-1, 128)


def _half(values: Floats) -> NDArray[np.float16]:
    return values.astype("<f2")


def _single(values: NDArray[np.float16]) -> Floats:
    return values.astype(np.float32)


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Quotient; 0 where the denominator is 0."""
    shape = np.broadcast_shapes(numerator.shape, denominator.shape)
    return np.divide(numerator, denominator, out=np.zeros(shape, np.float32), where=denominator != 0)
