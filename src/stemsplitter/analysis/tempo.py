"""Tempo from onset curves."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stemsplitter.analysis.onsets import Curves

SLOWEST, FASTEST = 40.0, 240.0
_WINDOW_S = 12.0
_CANDIDATES = 1200
_MULTIPLES = 4  # of a period that count for it, all the same
_PRIOR_BPM, _PRIOR_OCTAVES = 115.0, 0.9
_LEAST_PERIODICITY = 0.04  # of the autocorrelation, below which there is no tempo


@dataclass(frozen=True)
class TempoEstimate:
    """A tempo.

    Attributes:
        bpm: beats per minute, 40 to 240.
        confidence: 0 to 1, the strength of the period in the onsets.
        alternatives: half and double of the tempo as far as they are in the range, the likelier first.
    """

    bpm: float
    confidence: float
    alternatives: tuple[float, ...]


def estimate_tempo(curves: Curves, frames_per_second: float) -> TempoEstimate | None:
    """Estimate the tempo from onset curves ``[T, bands]``; None if nothing repeats.

    The autocorrelations of all curves in windows of 12 s are averaged; a tempo scores by those at one to four beats and
    by a log-normal prior around 115 bpm (after Percival and Tzanetakis, "Streamlined tempo estimation based on
    autocorrelation and cross-correlation with pulses", IEEE/ACM TASLP 22(12), 2014; the prior after Ellis, "Beat
    tracking by dynamic programming", JNMR 36(1), 2007). The period is refined at up to eight beats.
    """
    correlation = _autocorrelation(curves, frames_per_second)
    if correlation is None:
        return None
    tempi = np.exp(np.linspace(np.log(SLOWEST), np.log(FASTEST), _CANDIDATES))
    periods = 60 / tempi * frames_per_second
    lags = np.arange(len(correlation))
    beats = [np.interp(periods * number, lags, correlation, right=0) for number in range(1, _MULTIPLES + 1)]
    comb = np.mean(beats, axis=0)
    scores = np.maximum(comb, 0) * np.exp(-0.5 * (np.log2(tempi / _PRIOR_BPM) / _PRIOR_OCTAVES) ** 2)
    best = int(np.argmax(scores))
    if comb[best] < _LEAST_PERIODICITY:
        return None
    bpm = _refined(float(tempi[best]), correlation, frames_per_second)
    others = [other for other in (bpm / 2, bpm * 2) if SLOWEST <= other <= FASTEST]
    others.sort(key=lambda other: -float(np.interp(other, tempi, scores)))
    return TempoEstimate(bpm, float(np.clip(comb[best] * 2, 0, 1)), tuple(others))


def _autocorrelation(curves: Curves, frames_per_second: float) -> npt.NDArray[np.float64] | None:
    """Return the mean autocorrelation at lags of up to four beats of the slowest tempo; None without onsets."""
    total = len(curves)
    lags = int(60 / SLOWEST * frames_per_second * 4) + 2
    if total < 2 * frames_per_second or not curves.any():
        return None
    spread = curves.std(axis=0)
    scaled = curves / (spread + 1e-9)
    scaled = np.concatenate([scaled, scaled.sum(axis=1, keepdims=True)], axis=1).T
    window = min(total, int(_WINDOW_S * frames_per_second))
    lags = min(lags, int(0.7 * window))  # beyond, few samples overlap
    overlapping = np.arange(window, window - lags, -1)
    size = 1 << (2 * window - 1).bit_length()
    correlation = np.zeros(lags)
    for start in range(0, total - window + 1, max(1, window // 4)):
        part = scaled[:, start : start + window]
        part = part - part.mean(axis=1, keepdims=True)
        power = np.abs(np.fft.rfft(part, size)) ** 2
        lagged = np.fft.irfft(power, size)[:, :lags] / overlapping
        correlation += (lagged / (lagged[:, :1] + 1e-9)).sum(axis=0)
    return np.asarray(correlation / max(correlation[0], 1e-9))


def _refined(bpm: float, correlation: npt.NDArray[np.float64], frames_per_second: float) -> float:
    """Return the tempo with the period at the maximum of the correlation around 2, 4 and 8 beats, interpolated."""
    for beats in (2, 4, 8):
        lag = 60 / bpm * frames_per_second * beats
        first, last = int(lag * 0.985), min(int(lag * 1.015) + 2, len(correlation) - 1)
        if lag + 3 >= len(correlation) or last - first < 3:
            continue
        middle = first + int(np.argmax(correlation[first:last]))
        if first < middle < last - 1:
            left, center, right = correlation[middle - 1 : middle + 2]
            shift = 0.5 * (left - right) / (left - 2 * center + right + 1e-12)
            bpm = 60 * frames_per_second * beats / (middle + float(shift))
    return bpm
