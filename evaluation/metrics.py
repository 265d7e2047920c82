"""Metrics of one stem or one run, in decibels. Audio is [C, n]; every metric covers all of it."""

import numpy as np
import numpy.typing as npt

Audio = npt.NDArray[np.float32]


def sdr(truth: Audio, estimate: Audio) -> float:
    """Signal-to-distortion ratio, 10 log10(Σ s² / Σ (s − ŝ)²), all channels together, in dB.

    This is the SDR of the Music Demixing Challenge 2021 (Mitsufuji et al., arXiv:2108.13559) without its
    safety term, without alignment, filters or scaling. A perfect estimate has infinite SDR, silence 0 dB.

    Raises:
        ValueError: the shapes differ, or the true stem is silent.
    """
    if truth.shape != estimate.shape:
        raise ValueError(f"the truth is {truth.shape} and the estimate {estimate.shape}")
    signal = _energy(truth)
    if not signal:
        raise ValueError("SDR is undefined for a silent stem")
    return _decibels(signal, _energy(np.subtract(truth, estimate, dtype=np.float64)))


def level(stem: Audio, mixture: Audio) -> float:
    """Level of a stem relative to the mixture, in dB: for stems that should be silent."""
    return _decibels(_energy(stem), _energy(mixture))


def residual_dbfs(mixture: Audio, stems: list[Audio]) -> float:
    """RMS of the mixture minus the sum of the stems, in dB relative to full scale (1.0)."""
    left_over = mixture - np.sum(stems, axis=0, dtype=np.float64)
    return _decibels(_energy(left_over), left_over.size)


def peak_dbfs(stems: list[Audio]) -> float:
    """The highest sample of all stems, in dB relative to full scale (1.0)."""
    peak = max(float(np.abs(stem).max(initial=0)) for stem in stems)
    return _decibels(peak * peak, 1.0)


def _energy(signal: npt.NDArray[np.floating]) -> float:
    return float(np.sum(np.square(signal, dtype=np.float64)))


def _decibels(energy: float, reference: float) -> float:
    with np.errstate(divide="ignore"):
        return float(10 * (np.log10(energy) - np.log10(reference)))
