"""Filters as finite impulse responses, applied in blocks by FFT: quick, and nothing decays into denormals."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.signal import butter, sosfilt

from training.score import SAMPLE_RATE, Audio

Sections = NDArray[np.float64]
_TAPS: Final = 4096


def convolve(audio: Audio, response: Audio) -> Audio:
    """``[C, n]`` with ``[R, k]`` → ``[max(C, R), n]`` (C = R, or one of them 1); what rings on after n is cut."""
    length, taps = audio.shape[-1], response.shape[-1]
    size = 1 << max(14, int(taps * 3).bit_length())
    step = size - taps + 1
    blocks = -(-length // step)
    padded = np.zeros((len(audio), blocks * step), np.float32)
    padded[:, :length] = audio
    spectrum = fft.rfft(padded.reshape(len(audio), blocks, step), size)
    pieces = fft.irfft(spectrum * fft.rfft(response.astype(np.float32), size)[:, None], size)
    out = np.zeros((len(pieces), blocks * step + size), np.float32)
    for block in range(blocks):
        out[:, block * step : block * step + size] += pieces[:, block]
    return out[:, :length]


def impulse_response(*sections: Sections, taps: int = _TAPS) -> Audio:
    """The response ``[1, taps]`` of second-order sections in a row."""
    impulse = np.zeros((1, taps))
    impulse[0, 0] = 1
    return sosfilt(np.concatenate(sections), impulse).astype(np.float32)


def equalise(audio: Audio, *sections: Sections) -> Audio:
    """``[C, n]`` through all sections."""
    return convolve(audio, impulse_response(*sections))


def high_pass(frequency: float, order: int = 2, rate: int = SAMPLE_RATE) -> Sections:
    """Butterworth."""
    return butter(order, frequency, "highpass", fs=rate, output="sos")


def low_pass(frequency: float, order: int = 2, rate: int = SAMPLE_RATE) -> Sections:
    """Butterworth."""
    return butter(order, min(frequency, 0.45 * rate), "lowpass", fs=rate, output="sos")


def peak(frequency: float, decibels: float, q: float = 1.0) -> Sections:
    """A bell; Bristow-Johnson, "Cookbook formulae for audio EQ biquad filter coefficients"."""
    amplitude, cosine, alpha = _cookbook(frequency, decibels, q)
    up, down = alpha * amplitude, alpha / amplitude
    return _section((1 + up, -2 * cosine, 1 - up), (1 + down, -2 * cosine, 1 - down))


def low_shelf(frequency: float, decibels: float) -> Sections:
    """Bristow-Johnson's, with q = 0.7."""
    a, cosine, alpha = _cookbook(frequency, decibels, 0.7)
    root = 2 * np.sqrt(a) * alpha
    plus, minus = a + 1, a - 1
    return _section(
        (
            a * (plus - minus * cosine + root),
            2 * a * (minus - plus * cosine),
            a * (plus - minus * cosine - root),
        ),
        (plus + minus * cosine + root, -2 * (minus + plus * cosine), plus + minus * cosine - root),
    )


def high_shelf(frequency: float, decibels: float) -> Sections:
    """Bristow-Johnson's, with q = 0.7."""
    a, cosine, alpha = _cookbook(frequency, decibels, 0.7)
    root = 2 * np.sqrt(a) * alpha
    plus, minus = a + 1, a - 1
    return _section(
        (
            a * (plus + minus * cosine + root),
            -2 * a * (minus + plus * cosine),
            a * (plus + minus * cosine - root),
        ),
        (plus - minus * cosine + root, 2 * (minus - plus * cosine), plus - minus * cosine - root),
    )


def coloration(random: np.random.Generator, decibels: float, count: int = 3) -> Sections:
    """Random broad bells and shelves of up to ± ``decibels``: another microphone, another desk, another taste."""
    bells = [
        peak(log_uniform(random, 80, 12_000), random.uniform(-1, 1) * decibels, random.uniform(0.4, 2.5))
        for _ in range(count)
    ]
    low = low_shelf(random.uniform(60, 250), random.uniform(-1, 1) * decibels)
    high = high_shelf(random.uniform(3000, 10_000), random.uniform(-1, 1) * decibels)
    return np.concatenate([*bells, low, high])


def log_uniform(random: np.random.Generator, low: float, high: float) -> float:
    """A frequency, every octave from low to high as likely."""
    return float(np.exp(random.uniform(np.log(low), np.log(high))))


def _cookbook(frequency: float, decibels: float, q: float) -> tuple[float, float, float]:
    angle = 2 * np.pi * min(frequency, 0.45 * SAMPLE_RATE) / SAMPLE_RATE
    return 10 ** (decibels / 40), np.cos(angle), np.sin(angle) / (2 * q)


def _section(numerator: tuple[float, ...], denominator: tuple[float, ...]) -> Sections:
    return np.array([[*numerator, *denominator]]) / denominator[0]
