"""Onset strength of a stream in four bands."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from stemsplitter.analysis.frames import Framer, Samples, spectra

Curves = npt.NDArray[np.float32]

SIZE, HOP = 2048, 220
_MELS, _LOW_HZ, _HIGH_HZ = 80, 30.0, 11_000.0
_EDGES = (0, 8, 24, 50, 80)  # of the ranges, in mel bands
BANDS = len(_EDGES) - 1
"""Ranges of frequency whose onsets are told apart."""
_LAG = 2  # frames
_COMPRESSION = 1000.0
_MEAN_S = 0.4


class Onsets:
    """Measures the spectral flux of a mono stream.

    The flux is the rise of the logarithm of the energy in mel bands over two frames, against the largest of three
    neighboring bands, which ignores vibrato (Böck and Widmer, "Maximum filter vibrato suppression for onset
    detection", DAFx 2013). The mel bands are averaged in four ranges.
    """

    def __init__(self, sample_rate: int) -> None:
        self.frames_per_second = sample_rate / HOP
        self._framer = Framer(SIZE, HOP)
        self._window = np.hanning(SIZE).astype(np.float32)
        self._mels = [_nonzero(band) for band in _mel_bands(sample_rate)]
        self._before: Curves = np.zeros((0, _MELS), np.float32)
        self._curves: list[Curves] = []

    def push(self, block: Samples) -> None:
        """Take ``[n]`` samples."""
        for frames in self._framer.push(block):
            self._measure(frames)

    def curves(self) -> Curves:
        """End the stream and return the onset strength ``[T, 4]``, without its local mean, rising parts only."""
        for frames in self._framer.flush():
            self._measure(frames)
        if not self._curves:
            return np.zeros((0, BANDS), np.float32)
        curves = np.concatenate(self._curves)
        width = int(_MEAN_S * self.frames_per_second) | 1
        sums = np.cumsum(np.pad(curves, ((width // 2 + 1, width // 2), (0, 0))), axis=0, dtype=np.float64)
        rising: Curves = np.maximum(curves - (sums[width:] - sums[:-width]) / width, 0).astype(np.float32)
        return rising

    def _measure(self, frames: Samples) -> None:
        magnitudes = np.abs(spectra(frames, self._window))
        # one band after the other: in the product with all of them, nearly all factors would be zero
        mels = np.stack([magnitudes[:, bins] @ weights for bins, weights in self._mels], axis=1)
        levels = np.log1p(_COMPRESSION * mels)
        if not len(self._before):
            self._before = np.repeat(levels[:1], _LAG, axis=0)
        levels = np.concatenate([self._before, levels])
        self._before = levels[-_LAG:]
        padded = np.pad(levels[:-_LAG], ((0, 0), (1, 1)), mode="edge")
        neighbors = np.maximum(np.maximum(padded[:, :-2], padded[:, 1:-1]), padded[:, 2:])
        flux = np.maximum(levels[_LAG:] - neighbors, 0)
        ranges = [flux[:, low:high].mean(axis=1) for low, high in pairwise(_EDGES)]
        self._curves.append(np.stack(ranges, axis=1).astype(np.float32))


def _mel_bands(sample_rate: int) -> npt.NDArray[np.float32]:
    """Return triangular filters ``[mels, bins]``, each with a sum of 1."""
    edges = np.linspace(_mel(_LOW_HZ), _mel(min(_HIGH_HZ, sample_rate / 2)), _MELS + 2)
    hertz = 700 * (10 ** (edges / 2595) - 1)
    frequency = np.fft.rfftfreq(SIZE, 1 / sample_rate)
    rising = (frequency - hertz[:-2, None]) / (hertz[1:-1] - hertz[:-2])[:, None]
    falling = (hertz[2:, None] - frequency) / (hertz[2:] - hertz[1:-1])[:, None]
    bands = np.maximum(0, np.minimum(rising, falling))
    scaled: npt.NDArray[np.float32] = (bands / (bands.sum(axis=1, keepdims=True) + 1e-9)).astype(np.float32)
    return scaled


def _nonzero(band: Samples) -> tuple[slice, Samples]:
    bins = np.flatnonzero(band)
    part = slice(bins[0], bins[-1] + 1) if len(bins) else slice(0)
    return part, band[part]


def _mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))
