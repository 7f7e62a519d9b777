"""What the quantizers lose, measured with the gguf package's dequantizers, which are not ours."""

import gguf
import numpy as np
import pytest
from gguf import quants
from numpy.typing import NDArray

from ports.tensor_types import TensorType
from tools.gguf_export.quantize import quantize

Floats = NDArray[np.float32]

# Largest error allowed in a group of numbers, as a part of the distance between its lowest and highest number
# (0 counted in). Rounding to the nearest of n evenly spaced levels errs by at most range / (n - 1) / 2:
#   Q4_1, Q5_1: that, and the rounding of the f16 scale and minimum.
#   Q4_0, Q5_0: levels -8..7 span 16 steps for twice the peak; the far side is cut off one step short.
#   Q4_K, Q5_K: six-bit scales may be off by 1/126 of the largest scale, over all levels, and the search
#       trades the largest error for the weighted mean.
#   Q6_K: as those, without a minimum.
#   MXFP4: between 4 and 6 the step is 2, and all between 6 and 8 becomes 6: 2 of a peak of 8.
LARGEST_ERROR = {
    TensorType.F32: 0.0,
    TensorType.F16: 2.0**-11,
    TensorType.BF16: 2.0**-8,
    TensorType.Q8_0: 1 / 127,
    TensorType.Q4_0: 1 / 8,
    TensorType.Q4_1: 1 / 30 + 2.0**-10,
    TensorType.Q5_0: 1 / 16,
    TensorType.Q5_1: 1 / 62 + 2.0**-10,
    TensorType.Q4_K: 1 / 10,
    TensorType.Q5_K: 1 / 16,
    TensorType.Q6_K: 1 / 20,
    TensorType.MXFP4: 2 / 8,
}
# Root mean square error on a standard normal distribution. Evenly spaced levels of step s err by
# s / sqrt(12); a group of 32 normal numbers spans 4.1 and peaks at 2.4 on average.
MEAN_ERROR = {
    TensorType.F32: 0.0,
    TensorType.F16: 0.0003,
    TensorType.BF16: 0.002,
    TensorType.Q8_0: 2.4 / 127 / 12**0.5 * 1.1,
    TensorType.Q4_0: 2.4 / 8 / 12**0.5 * 1.1,
    TensorType.Q4_1: 4.1 / 15 / 12**0.5 * 1.1,
    TensorType.Q5_0: 2.4 / 16 / 12**0.5 * 1.1,
    TensorType.Q5_1: 4.1 / 31 / 12**0.5 * 1.1,
    TensorType.Q4_K: 4.1 / 15 / 12**0.5,
    TensorType.Q5_K: 4.1 / 31 / 12**0.5,
    TensorType.Q6_K: 2.1 / 32 / 12**0.5 * 1.05,  # groups of 16 peak at 2.1
    TensorType.MXFP4: 0.12,
}
K_QUANTS = [TensorType.Q4_K, TensorType.Q5_K, TensorType.Q6_K]
WITH_F16_MINIMUM = [TensorType.Q4_1, TensorType.Q5_1]
UNSCALED = [TensorType.F32, TensorType.BF16, TensorType.MXFP4]
BLOCKED = [kind for kind in TensorType if kind.block.num_elements > 1]


def dequantize(stored: NDArray[np.uint8], kind: TensorType) -> Floats:
    values: Floats = quants.dequantize(stored, gguf.GGMLQuantizationType(kind))
    return values


def round_trip(values: Floats, kind: TensorType) -> Floats:
    return dequantize(quantize(values, kind), kind)


def root_mean_square(values: Floats) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def normal(rows: int, cols: int, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).standard_normal((rows, cols), dtype=np.float32)


def plain_rounding(values: Floats, kind: TensorType) -> Floats:
    """Round to the nearest level, the scale taken from the extremes; scales in the format's own precision."""
    if kind is TensorType.Q6_K:
        groups = values.reshape(-1, 16, 16)
        scale = np.abs(groups).max(axis=2) / 31
        unit = (scale.max(axis=1, keepdims=True) / 127).astype(np.float16).astype(np.float32)
        scale = (np.rint(scale / unit) * unit)[..., None]
        symmetric: Floats = np.rint(groups / scale).clip(-32, 31) * scale
        return symmetric.reshape(values.shape)
    max_level = {TensorType.Q4_K: 15, TensorType.Q5_K: 31}[kind]
    groups = values.reshape(-1, 8, 32)
    low = np.minimum(groups.min(axis=2), 0)
    scale, low = (six_bits(x)[..., None] for x in ((groups.max(axis=2) - low) / max_level, -low))
    levels = np.rint((groups + low) / scale).clip(0, max_level)
    shifted: Floats = levels * scale - low
    return shifted.reshape(values.shape)


def six_bits(values: Floats) -> Floats:
    unit = (values.max(axis=1, keepdims=True) / 63).astype(np.float16).astype(np.float32)
    rounded: Floats = np.rint(values / unit) * unit
    return rounded


@pytest.mark.parametrize("kind", TensorType)
def test_no_number_is_off_by_more_than_the_type_explains(kind: TensorType) -> None:
    values = normal(64, 1024)

    groups = values.reshape(-1, 16 if kind is TensorType.Q6_K else 32)
    span = np.maximum(groups.max(axis=1), 0) - np.minimum(groups.min(axis=1), 0)
    error = np.abs(round_trip(values, kind) - values).reshape(groups.shape).max(axis=1)

    assert (error <= LARGEST_ERROR[kind] * span).all()


@pytest.mark.parametrize("kind", TensorType)
def test_the_mean_error_is_that_of_the_type(kind: TensorType) -> None:
    values = normal(64, 1024)

    assert root_mean_square(round_trip(values, kind) - values) <= MEAN_ERROR[kind]


@pytest.mark.parametrize("kind", K_QUANTS)
@pytest.mark.parametrize("shift", [0.0, 1.0, -3.0])
def test_the_search_beats_plain_rounding(kind: TensorType, shift: float) -> None:
    values = normal(64, 1024) * np.exp(normal(64, 1024, seed=2)) + np.float32(shift)

    ours = root_mean_square(round_trip(values, kind) - values)
    plain = root_mean_square(plain_rounding(values, kind) - values)

    assert ours < plain


@pytest.mark.parametrize("kind", TensorType)
def test_zeros_stay_zeros(kind: TensorType) -> None:
    values = np.zeros((2, 512), np.float32)

    assert np.array_equal(values, round_trip(values, kind))


@pytest.mark.parametrize("kind", BLOCKED)
@pytest.mark.parametrize("value", [1.0, -1.0, 0.37, -1000.0])
def test_a_constant_block_keeps_its_value(kind: TensorType, value: float) -> None:
    values = np.full((1, 256), value, np.float32)
    tolerance = 0.25 if kind is TensorType.MXFP4 else 0.004  # MXFP4 has eight magnitudes an octave pair

    assert np.allclose(round_trip(values, kind), values, rtol=tolerance, atol=0)


@pytest.mark.parametrize("kind", BLOCKED)
@pytest.mark.parametrize("peak", [1e-42, 1e-38, 1e-30, 1e-7, 1e-3, 1.0, 3e4])
def test_blocks_of_any_magnitude_lose_no_more_than_their_range(kind: TensorType, peak: float) -> None:
    values = normal(4, 256)
    values *= np.float32(peak) / np.abs(values).max()
    peak = float(np.abs(values).max())
    # A scale below the smallest f16 is lost, and with it all that its levels span; in Q4_1 and Q5_1, where a
    # minimum is added, a rounded scale may even double the range.
    lost = min(peak, 2.0**-25 * 32 * 128) + (2.0**-20 if kind in WITH_F16_MINIMUM else 0)

    assert np.abs(round_trip(values, kind) - values).max() <= max(0.25 * peak, lost)


@pytest.mark.parametrize("kind", BLOCKED)
def test_one_large_number_among_small_ones_survives(kind: TensorType) -> None:
    values = normal(1, 256) * np.float32(1e-3)
    values[0, 77] = -100.0

    assert -100.0 == pytest.approx(float(round_trip(values, kind)[0, 77]), rel=0.26)


@pytest.mark.parametrize(("kind", "num_levels"), [(TensorType.Q4_K, 16), (TensorType.Q5_K, 32)])
def test_a_block_far_above_zero_is_measured_from_zero(kind: TensorType, num_levels: int) -> None:
    values = np.random.default_rng(4).uniform(5, 6, (16, 256)).astype(np.float32)

    step = 6 / (num_levels - 1)

    assert root_mean_square(round_trip(values, kind) - values) < step / 12**0.5


@pytest.mark.parametrize("kind", K_QUANTS)
def test_rows_are_quantized_one_by_one(kind: TensorType) -> None:
    values = normal(600, 256)  # more super-blocks than one pass takes

    together = quantize(values, kind)
    alone = np.concatenate([quantize(row[None], kind) for row in values])

    assert np.array_equal(alone, together)


def test_a_name_will_do_for_a_type() -> None:
    values = normal(2, 256)

    assert np.array_equal(quantize(values, TensorType.Q5_K), quantize(values, "Q5_K"))


@pytest.mark.parametrize("kind", BLOCKED)
def test_a_row_that_is_no_multiple_of_the_block_is_refused(kind: TensorType) -> None:
    with pytest.raises(ValueError, match=f"a row of 40 is no multiple of {kind.name}'s block"):
        quantize(normal(2, 40), kind)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_refused(bad: float) -> None:
    values = normal(2, 256)
    values[1, 3] = bad

    with pytest.raises(ValueError, match="NaN or infinity"):
        quantize(values, "Q8_0")


@pytest.mark.parametrize("kind", [kind for kind in TensorType if kind not in UNSCALED])
@pytest.mark.parametrize("value", [1e9, -3.4e38])
def test_a_number_too_large_for_an_f16_scale_is_refused(kind: TensorType, value: float) -> None:
    values = normal(2, 256)
    values[1, 3] = value

    with pytest.raises(ValueError, match=f"too large for {kind.name}"):
        quantize(values, kind)


def test_a_number_that_bf16_would_round_to_infinity_is_refused() -> None:
    with pytest.raises(ValueError, match="too large for BF16"):
        quantize(np.full((1, 1), 3.4e38, np.float32), "BF16")


def test_an_unknown_type_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'IQ4_XS'; there are F32, F16, Q4_0"):
        quantize(normal(1, 256), "IQ4_XS")


@pytest.mark.parametrize("shape", [(256,), (2, 2, 256), (0, 256), (2, 0)])
def test_anything_but_rows_and_columns_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected \[rows, cols\]"):
        quantize(np.zeros(shape, np.float32), "Q8_0")
