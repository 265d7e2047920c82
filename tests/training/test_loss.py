"""The error in bands is the error in the spectrum, for masks that are constant in a band."""

import numpy as np
import pytest

from stemsplitter.separation.architectures.bandnet import bands

pytestmark = pytest.mark.torch

BAND_OF_BIN = np.searchsorted(bands.EDGES, np.arange(bands.BINS), side="right") - 1


@pytest.fixture
def song() -> np.ndarray:
    from training.data import SAMPLES

    random = np.random.default_rng(3)
    stems = random.normal(0, 0.05, (6, SAMPLES, 2)).astype(np.float32)
    stems[4] = 0
    return stems


def test_the_error_of_any_masks_is_exact(song):
    import torch

    from training import data, loss

    made = data.example(song, np.random.default_rng(0), data.no_vocals, augment=False)
    _, inputs, products, energies = data.batch([made])
    shares = torch.rand(1, 2, 6, 2, data.FRAMES, bands.BANDS)
    found = loss.errors(shares, inputs, products, energies)[0].numpy()
    spectra = data.transformed(song)
    masks = shares[0, 0].numpy()[..., BAND_OF_BIN]
    expected = (np.abs(masks * spectra.sum(axis=0) - spectra) ** 2).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_instrumental_and_vocals_found_make_up_the_mixture(song):
    from training import data, loss

    made = data.example(song, np.random.default_rng(0), data.imagined, augment=False)
    _, inputs, products, energies = data.batch([made])
    assert inputs[0, 1].sum() > 0
    # all of both for one stem: what is wrong with it is the other stems
    import torch

    shares = torch.zeros(1, 2, 6, 2, data.FRAMES, bands.BANDS)
    shares[:, :, 1] = 1
    found = float(loss.errors(shares, inputs, products, energies)[0, 1])
    rest = data.transformed(song.sum(axis=0, keepdims=True) - song[1:2])
    assert found == pytest.approx(float((np.abs(rest) ** 2).sum()), rel=1e-3)


def test_perfect_masks_cost_less_than_silence_and_absent_stems_cost_only_what_leaks(song):
    import torch

    from training import data, loss

    made = data.example(song, np.random.default_rng(0), data.no_vocals, augment=False)
    _, inputs, products, energies = data.batch([made])
    logits = torch.zeros(1, 24, data.FRAMES, bands.BANDS)
    even = loss.loss(logits, inputs, products, energies)
    silent = logits.reshape(1, 2, 6, 2, data.FRAMES, bands.BANDS).clone()
    silent[:, :, 4] = -20  # the absent one
    assert loss.loss(silent.reshape(logits.shape), inputs, products, energies) < even


def test_the_shipped_features_are_those_trained_on(song):
    """At twice the rate, with twice the window, the same bins below 11 kHz."""
    import soxr

    from stemsplitter.separation.architectures.bandnet import model
    from stemsplitter.separation.stft import Stft
    from training import data

    mixture = song.sum(axis=0)
    mixture = np.cumsum(mixture, axis=0)  # little at the top, where the resampler's filter is
    mixture -= mixture.mean(axis=0)
    mixture *= 0.1 / np.abs(mixture).max()
    stems = np.zeros((6, *mixture.shape), np.float32)
    stems[1] = mixture
    trained = data.example(stems, np.random.default_rng(0), data.no_vocals, augment=False).features
    doubled = soxr.resample(mixture, 22_050, 44_100, "VHQ").T.astype(np.float32)
    spectrum = Stft(4096).forward(np.ascontiguousarray(doubled[:, : data.SAMPLES * 2 - 4096 % 1024]))
    both = model._middle_and_side(spectrum)
    shipped = model._features(both, np.zeros_like(both))
    frames, low = slice(4, 200), slice(2, 140)
    np.testing.assert_allclose(shipped[:2, frames, low], trained[:2, frames, low], atol=0.02)
    np.testing.assert_allclose(shipped[4, frames, low], trained[4, frames, low], atol=0.02)
