"""Norms where a short cut in the formula would show."""

import numpy as np
import pytest

from backends.fake.norms import LayerNormWeights, RmsNormWeights

ONES, ZEROS = np.ones(64, dtype=np.float32), np.zeros(64, dtype=np.float32)


@pytest.mark.req("M0-W-1432")
def test_layer_norm_takes_the_mean_before_it_squares() -> None:
    near = np.random.default_rng(1).integers(-64, 64, (2, 64)).astype(np.float32) / np.float32(32)
    far = near + np.float32(4096)  # exact; its square would not be
    norm = LayerNormWeights(ONES, ZEROS, 1e-5)

    np.testing.assert_allclose(norm(far), norm(near), atol=1e-3)  # 4096 has an ulp of 5e-4


@pytest.mark.req("M0-W-1432")
def test_layer_norm_of_equal_values_is_its_bias() -> None:
    norm = LayerNormWeights(3 * ONES, 2 * ONES, 1e-5)

    np.testing.assert_array_equal(norm(7 * np.ones((1, 64), dtype=np.float32)), [2 * ONES])


@pytest.mark.parametrize("norm", [LayerNormWeights(ONES, ZEROS, 1e-5), RmsNormWeights(ONES, 1e-5)])
def test_a_norm_works_on_the_last_dimension(norm: RmsNormWeights | LayerNormWeights) -> None:
    x = np.random.default_rng(3).standard_normal((2, 3, 64), dtype=np.float32)

    np.testing.assert_allclose(norm(x)[1, 2], norm(x[1, 2][None])[0], atol=1e-6)
