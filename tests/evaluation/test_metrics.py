import math

import numpy as np
import pytest

from evaluation.metrics import level, peak_dbfs, residual_dbfs, sdr


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((2, 1000)).astype(np.float32)


def test_sdr_of_a_known_error():
    truth = noise()
    assert sdr(truth, truth * np.float32(0.9)) == pytest.approx(20, abs=1e-4)
    assert sdr(truth, truth * np.float32(1.01)) == pytest.approx(40, abs=1e-3)


def test_sdr_is_over_all_channels():
    truth = np.zeros((2, 4), np.float32)
    truth[0] = 1
    estimate = truth.copy()
    estimate[1] = 0.1
    assert sdr(truth, estimate) == pytest.approx(20)


def test_silence_scores_zero_and_truth_infinity():
    assert sdr(noise(), np.zeros((2, 1000), np.float32)) == 0
    assert sdr(noise(), noise()) == math.inf


def test_sdr_penalizes_gain_and_delay():
    truth = noise()
    assert sdr(truth, truth * 2) == pytest.approx(0)
    assert sdr(truth, np.roll(truth, 1, axis=1)) < 0


def test_different_length_or_silent_truth_is_refused():
    with pytest.raises(ValueError, match="999"):
        sdr(noise(), noise()[:, :999])
    with pytest.raises(ValueError, match="silent"):
        sdr(np.zeros((2, 1000), np.float32), noise())


def test_level_is_relative_to_mixture():
    assert level(noise() * np.float32(0.01), noise()) == pytest.approx(-40, abs=1e-3)
    assert level(np.zeros((2, 1000), np.float32), noise()) == -math.inf


def test_residual_is_mixture_minus_stems():
    mixture = np.ones((2, 1000), np.float32)
    assert residual_dbfs(mixture, [mixture * np.float32(0.5), mixture * np.float32(0.4)]) == pytest.approx(
        -20
    )
    assert residual_dbfs(mixture, [mixture * np.float32(0.5)] * 2) == -math.inf


def test_peak_is_over_all_stems():
    quiet, loud = np.full((2, 9), 0.1, np.float32), np.full((2, 9), 0.1, np.float32)
    loud[1, 3] = -10
    assert peak_dbfs([quiet, loud]) == pytest.approx(20)
