"""Rounding to integers with an exact sum."""

import numpy as np
import numpy.typing as npt
import pytest

from stemsplitter.audio.exact import snapped

Samples = npt.NDArray[np.float32]


def noise(seed: int, samples: int, peak: float) -> Samples:
    return np.random.default_rng(seed).uniform(-peak, peak, (2, samples)).astype(np.float32)


def steps(samples: Samples, bits: int) -> npt.NDArray[np.int64]:
    scaled = samples.astype(np.float64) * (1 << (bits - 1))
    np.testing.assert_array_equal(scaled, np.rint(scaled))
    return scaled.astype(np.int64)


@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("count", [1, 2, 6])
def test_snapped_stems_sum_to_the_rounded_mixture(bits: int, count: int) -> None:
    stems = np.stack([noise(seed, 10_000, 0.9) for seed in range(count)])
    mixture = stems.sum(axis=0)
    found = snapped(stems, mixture, bits)
    full = 1 << (bits - 1)
    np.testing.assert_array_equal(
        steps(found, bits).sum(axis=0), np.rint(mixture.astype(np.float64) * full).astype(np.int64)
    )
    assert np.abs(found - stems).max() * full <= count / 2 + 1.5


def test_silent_stems_stay_silent_and_the_loudest_gets_the_rest() -> None:
    stems = np.stack([noise(0, 5000, 0.1), noise(1, 5000, 0.9), np.zeros((2, 5000), np.float32)])
    found = snapped(stems, stems.sum(axis=0))
    assert not found[2].any()
    assert np.abs(found[0] - stems[0]).max() <= 2.0**-24


def test_stems_over_full_scale_are_not_clipped() -> None:
    stems = np.array([[[1.5, -1.75]], [[-0.7, 0.9]]], np.float32)
    found = snapped(stems, stems.sum(axis=0))
    np.testing.assert_allclose(found, stems, atol=2.0**-22)
    np.testing.assert_array_equal(
        steps(found, 24).sum(axis=0), np.rint(stems.astype(np.float64).sum(axis=0) * 2**23)
    )
