"""The error in bands is the error in the spectrum, for masks that are constant in a band."""

import numpy as np
import pytest

from stemsplitter.separation.architectures.bandnet import bands
from training.score import STEMS

pytestmark = pytest.mark.torch

BAND_OF_BIN = np.searchsorted(bands.EDGES, np.arange(bands.BINS), side="right") - 1
EVERY = np.ones(6, bool)


@pytest.fixture
def stems() -> dict[str, np.ndarray]:
    from training.data import SAMPLES

    random = np.random.default_rng(3)
    names = [stem for stem in STEMS if stem != "piano"]
    return {stem: random.normal(0, 0.05, (SAMPLES, 2)).astype(np.float32) for stem in names}


def half(mixture):
    """A finder of vocals that takes half of the mixture for them."""
    return mixture / 2


def made(stems, find=half):
    from training import examples

    return examples.make(stems, find)


def spectra(stems) -> np.ndarray:
    from training import data

    silent = np.zeros((data.SAMPLES, 2), np.float32)
    return data.transformed(np.stack([stems.get(stem, silent) for stem in STEMS]))


def random_shares(seed: int = 0):
    import torch

    from training import data

    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 4, 6, 2, data.FRAMES, bands.BANDS, generator=generator)


def test_the_error_of_any_masks_is_exact(stems):
    from training import given, loss

    alone = given.batch([given.known(made(stems), "alone")])
    shares = random_shares()
    found = loss.errors(shares, *alone[1:4])[0].numpy()
    true = spectra(stems)
    masks = shares[0, 0].numpy()[..., BAND_OF_BIN]
    expected = (np.abs(masks * true.sum(axis=0) - true) ** 2).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_the_error_with_given_stems_of_any_quality_is_exact(stems):
    from training import data, given, loss

    example = made(stems)
    random = np.random.default_rng(5)
    signals = [*spectra(stems)[list(example.stems)], spectra(stems).sum(axis=0) / 2]
    factors = {
        stem: random.random((len(signals), data.FRAMES, bands.BANDS)).astype(np.float32)
        for stem in given.GIVEN
    }
    _, *truth, _ = given.batch([given.inputs(example, factors, EVERY)])
    shares = random_shares(1)
    found = loss.errors(shares, *truth)[0].numpy()
    known = [
        sum(f[None][..., BAND_OF_BIN] * s for f, s in zip(factors[stem], signals, strict=True))
        for stem in given.GIVEN
    ]
    parts = [spectra(stems).sum(axis=0) - sum(known), *known]
    masks = shares[0].numpy()[..., BAND_OF_BIN]
    estimates = sum(mask * part for mask, part in zip(masks, parts, strict=True))
    expected = (np.abs(estimates - spectra(stems)) ** 2).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_true_stems_handed_through_are_without_error(stems):
    import torch

    from training import data, given, loss

    _, *truth, _ = given.batch([given.known(made(stems), "three")])
    shares = torch.zeros(1, 4, 6, 2, data.FRAMES, bands.BANDS)
    for signal, stem in enumerate(("vocals", "drums", "bass"), 1):
        shares[:, signal, STEMS.index(stem)] = 1
    found = loss.sdr(shares, *truth)[0].numpy()
    assert (found[:3] > 50).all() and np.isnan(found[4])
    assert found[3] == pytest.approx(0, abs=0.1)


def test_stems_that_are_not_allowed_have_no_share_and_the_rest_sums_to_one():
    import torch

    from training import data, loss

    logits = torch.randn(1, 48, data.FRAMES, bands.BANDS, generator=torch.Generator().manual_seed(0))
    allowed = torch.tensor([[True, True, True, True, False, False]])
    shares = loss.masks(logits, allowed)
    assert shares[:, :, 4:].abs().max() == 0
    torch.testing.assert_close(shares.sum(2), torch.ones_like(shares[:, :, 0]))


def test_perfect_masks_cost_less_than_silence_and_absent_stems_cost_only_what_leaks(stems):
    import torch

    from training import data, given, loss

    _, *truth, _ = given.batch([given.known(made(stems), "alone")])
    logits = torch.zeros(1, 48, data.FRAMES, bands.BANDS)
    even = loss.loss(logits, *truth)
    silent = logits.reshape(1, 4, 6, 2, data.FRAMES, bands.BANDS).clone()
    silent[:, :, 4] = -20  # the absent one
    assert loss.loss(silent.reshape(logits.shape), *truth) < even
    only = torch.tensor([[True, True, True, True, False, True]])
    assert loss.loss(logits, *truth, only) == pytest.approx(
        float(loss.loss(silent.reshape(logits.shape), *truth)), rel=1e-3
    )


def test_an_instrument_heard_in_a_part_of_a_segment_is_in_it(stems):
    import torch

    from training import given, loss

    _, inputs, _, energies, _ = given.batch([given.known(made(stems), "alone")])
    sure = torch.full((1, 32, 6), -8.0)
    sure[:, 3:6, [0, 1, 2, 3, 5]] = 10.0
    assert loss.presence_loss(sure, inputs, energies) < 0.01
    assert loss.presence_loss(torch.full((1, 32, 6), -8.0), inputs, energies) > 4


def test_the_shipped_features_are_among_those_trained_on(stems):
    """At twice the rate, with twice the window, the same bins below 11 kHz."""
    import soxr

    from stemsplitter.separation.architectures.bandnet import model
    from stemsplitter.separation.stft import Stft
    from training import data, given

    mixture = sum(stems.values())
    mixture = np.cumsum(mixture, axis=0)  # little at the top, where the resampler's filter is
    mixture -= mixture.mean(axis=0)
    mixture *= 0.1 / np.abs(mixture).max()
    trained = given.known(made({"drums": mixture}), "alone").features
    doubled = soxr.resample(mixture, 22_050, 44_100, "VHQ").T.astype(np.float32)
    spectrum = Stft(4096).forward(np.ascontiguousarray(doubled[:, : data.SAMPLES * 2 - 4096 % 1024]))
    both = model._middle_and_side(spectrum)
    low = both[..., : model.bands.BINS]
    power, cross = model._power(low), low[0].real * low[1].real + low[0].imag * low[1].imag
    shipped = model.bands.features(power, cross * model.POWER_SCALE, [power, None, None, None])
    frames, low = slice(4, 200), slice(2, 140)
    for plane in (0, 1, 4, *range(5, 16)):
        np.testing.assert_allclose(shipped[plane, frames, low], trained[plane, frames, low], atol=0.02)
