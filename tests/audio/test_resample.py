"""Sample-rate conversion: exact in length, aligned, and transparent."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemsplitter.audio.resample import Resampler


def convert(signal, from_rate, to_rate, *, block=4096, total=None):
    resampler = Resampler(from_rate, to_rate, signal.shape[0])
    parts = [resampler.push(signal[:, at : at + block]) for at in range(0, signal.shape[1], block)]
    return np.concatenate([*parts, resampler.flush(total)], axis=1)


def band_limited(samples, share):
    """Generate stereo noise up to a share of the Nyquist frequency."""
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal((2, samples)))
    spectrum[:, int(spectrum.shape[1] * share) :] = 0
    signal = np.fft.irfft(spectrum, samples)
    return (signal / np.abs(signal).max()).astype(np.float32)


@pytest.mark.parametrize(
    ("source", "target"), [(48000, 44100), (44100, 48000), (96000, 44100), (192000, 48000)]
)
def test_round_trip_is_transparent(source, target, offset):
    signal = band_limited(source, 0.7 * min(1, target / source))
    back = convert(convert(signal, source, target), target, source, total=source)
    assert back.shape == signal.shape
    assert offset(signal, back) == 0
    inner = slice(source // 10, -source // 10)  # excludes the ends, which are not band-limited
    error = (back - signal)[:, inner]
    assert 20 * np.log10(np.sqrt(np.mean(error**2) / np.mean(signal[:, inner] ** 2))) < -90


@pytest.mark.parametrize(("source", "target"), [(48000, 44100), (8000, 44100), (44100, 48000)])
def test_sine_has_no_delay(source, target):
    """Sample k of the output is the input at the time k / rate."""
    frequency = 1000
    sine = np.sin(2 * np.pi * frequency * np.arange(source) / source).astype(np.float32)[None]
    expected = np.sin(2 * np.pi * frequency * np.arange(target) / target)
    inner = slice(target // 10, -target // 10)
    assert np.abs(convert(sine, source, target)[0, inner] - expected[inner]).max() < 1e-6


@settings(max_examples=60, deadline=None)
@given(
    samples=st.integers(0, 3000),
    rates=st.sampled_from([(48000, 44100), (44100, 48000), (8000, 44100), (192000, 44100), (44100, 44100)]),
    block=st.integers(1, 1000),
    channels=st.integers(1, 3),
)
def test_length_is_exact(samples, rates, block, channels):
    signal = np.zeros((channels, samples), np.float32)
    out = convert(signal, *rates, block=block)
    assert out.shape == (channels, round(samples * rates[1] / rates[0]))
    assert out.dtype == np.float32 and out.flags.c_contiguous


@pytest.mark.parametrize("total", [4400, 4410, 4500])
def test_output_has_the_given_total(total):
    assert convert(np.ones((2, 4800), np.float32), 48000, 44100, total=total).shape == (2, total)


def test_total_below_the_returned_samples_raises_value_error():
    with pytest.raises(ValueError, match="already returned"):
        convert(np.ones((2, 48000), np.float32), 48000, 44100, total=10)


def test_equal_rates_return_blocks_unchanged():
    block = np.ones((2, 10), np.float32)
    resampler = Resampler(44100, 44100, 2)
    assert resampler.push(block) is block
    assert resampler.flush().shape == (2, 0)
