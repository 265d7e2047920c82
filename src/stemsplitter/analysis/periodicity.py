"""Periodicity of onset curves at fractions and multiples of a beat."""

import numpy as np
import numpy.typing as npt

from stemsplitter.analysis.onsets import BANDS, Curves

Values = npt.NDArray[np.float64]

LONGEST_S = 8.4
"""Longest lag that is measured."""
FEATURES_PER_TEMPO = 71
_WINDOW_S = 12.0
# lags in beats
_RATIOS = (1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4, 1.0, 4 / 3, 3 / 2, 2.0, 3.0, 4.0)
_CROSS_RATIOS = (0.0, 1 / 4, 1 / 2, 1.0, 3 / 2, 2.0, 3.0, 4.0)
_PAIRS = ((0, 2), (0, 3))  # bands: kick and snare, kick and hi-hat
_SUM = BANDS  # place of the sum of all bands among the correlations
_DRIFT = 0.01  # of a lag, over which the largest value counts


def correlations(curves: Curves, frames_per_second: float) -> Values | None:
    """Measure correlations of onset curves ``[T, 4]``, or ``[T, 8]`` with the drums stem beside the song.

    Returns ``[7, lags]``: the autocorrelations of four bands and of their sum, and the correlations of the lowest band
    with the third and the fourth, the mean of both directions. Each is the mean over windows of 12 s, and over song and
    drums. None if there is no onset.
    """
    window = min(len(curves), int(_WINDOW_S * frames_per_second))
    if len(curves) < 2 * frames_per_second or not curves.any():
        return None
    lags = min(int(LONGEST_S * frames_per_second), int(0.7 * window))  # beyond, few samples overlap
    sources = [_with_sum(curves[:, start : start + BANDS]) for start in range(0, curves.shape[1], BANDS)]
    total = np.zeros((BANDS + 1 + len(_PAIRS), lags))
    starts = range(0, len(curves) - window + 1, max(1, window // 4))
    for start in starts:
        for scaled in sources:
            total += _of_window(scaled[:, start : start + window], lags)
    return total / (len(starts) * len(sources))


def features(correlation: Values, tempi: Values, frames_per_second: float) -> Values:
    """Return the correlations at fractions and multiples of the beat of each tempo ``[tempi, 71]``."""
    beats = 60 / tempi * frames_per_second
    columns = [_at(row, beats * ratio) for row in correlation[: _SUM + 1] for ratio in _RATIOS]
    columns += [_at(row, beats * ratio) for row in correlation[_SUM + 1 :] for ratio in _CROSS_RATIOS]
    return np.stack(columns, axis=1)


def strength(correlation: Values, bpm: float, frames_per_second: float) -> float:
    """Return the mean correlation of all bands at one to four beats, 0 to 1."""
    beat = 60 / bpm * frames_per_second
    rows = correlation[: _SUM + 1].mean(axis=0)
    return float(
        np.mean([np.interp(beat * number, np.arange(len(rows)), rows, right=0) for number in range(1, 5)])
    )


def refined(bpm: float, correlation: Values, frames_per_second: float) -> float:
    """Return the tempo with the beat at the maximum of the correlation around 2, 4 and 8 beats, interpolated."""
    rows = correlation[: _SUM + 1].mean(axis=0)
    for beats in (2, 4, 8):
        lag = 60 / bpm * frames_per_second * beats
        first, last = int(lag * 0.985), min(int(lag * 1.015) + 2, len(rows) - 1)
        if lag + 3 >= len(rows) or last - first < 3:
            continue
        middle = first + int(np.argmax(rows[first:last]))
        if first < middle < last - 1:
            left, center, right = rows[middle - 1 : middle + 2]
            shift = 0.5 * (left - right) / (left - 2 * center + right + 1e-12)
            bpm = 60 * frames_per_second * beats / (middle + float(shift))
    return bpm


def _with_sum(curves: Curves) -> Values:
    scaled = (curves / (curves.std(axis=0) + 1e-9)).astype(np.float64)
    return np.concatenate([scaled, scaled.sum(axis=1, keepdims=True)], axis=1).T


def _of_window(part: Values, lags: int) -> Values:
    part = part - part.mean(axis=1, keepdims=True)
    size = 1 << (2 * part.shape[1] - 1).bit_length()
    spectra = np.fft.rfft(part, size)
    products = [np.abs(spectra) ** 2, *(np.real(spectra[a : a + 1] * spectra[b].conj()) for a, b in _PAIRS)]
    overlapping = np.arange(part.shape[1], part.shape[1] - lags, -1)
    lagged = np.fft.irfft(np.concatenate(products), size)[:, :lags] / overlapping
    power = lagged[: _SUM + 1, 0]
    scale = np.concatenate([power, [np.sqrt(power[a] * power[b]) for a, b in _PAIRS]])
    return np.asarray(lagged / (scale[:, None] + 1e-9))


def _at(row: Values, lags: Values) -> Values:
    places = np.arange(len(row))
    around = [np.interp(lags * (1 + drift), places, row, right=0) for drift in (-_DRIFT, 0.0, _DRIFT)]
    return np.asarray(np.max(around, axis=0))
