import numpy as np
import pytest

from evaluation.consistency import DRIFT, METHODS, estimates
from evaluation.datasets import Song
from evaluation.metrics import residual_dbfs, sdr

LENGTH = 30_000


def noise(seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((2, LENGTH)) * 0.1).astype(np.float32)


@pytest.fixture
def song() -> Song:
    return Song("song", {"vocals": noise(0), "drums": noise(1), "other": noise(2)})


@pytest.mark.parametrize("strength", DRIFT)
def test_estimates_are_close_to_truth_and_do_not_sum_to_mixture(song, strength):
    *present, absent = estimates(song, *DRIFT[strength])
    assert not absent.any()
    assert residual_dbfs(song.mixture, present) > -60
    for truth, estimate in zip(song.stems.values(), present, strict=True):
        assert sdr(truth, estimate) > sdr(truth, song.mixture)


@pytest.mark.parametrize("method", METHODS.values())
def test_every_method_makes_stems_sum_to_mixture(song, method):
    stems = estimates(song, *DRIFT["rough"])
    before = stems.copy()
    shared = method(song.mixture, stems, 2)
    assert residual_dbfs(song.mixture, list(shared)) < -110
    np.testing.assert_array_equal(stems, before)
