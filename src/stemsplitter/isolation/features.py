"""Spectra and features of DeepFilterNet3, at 48 kHz."""

import math

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]
Spectra = npt.NDArray[np.complex64]

RATE, SIZE, HOP = 48_000, 960, 480
BANDS, FILTERED = 32, 96  # bands of the gains; bins that are filtered
_SCALE = np.float32(HOP * 2 / SIZE**2)
_LEAST_BINS = 2  # of a band
_DECAY = 0.99  # of the running means


def erb_widths() -> npt.NDArray[np.intp]:
    """Return the bins of each band: of equal width on the ERB scale (Glasberg and Moore), at least two bins."""
    step = _erb(RATE / 2) / BANDS
    widths, before, excess = [], 0, 0
    for number in range(1, BANDS + 1):
        end = round(_hertz(number * step) / (RATE / SIZE))
        width = max(end - before - excess, _LEAST_BINS)
        excess = width - (end - before - excess)
        widths.append(width)
        before = end
    widths[-1] += SIZE // 2 + 1 - sum(widths)
    return np.array(widths)


def _erb(hertz: float) -> float:
    return 9.265 * math.log1p(hertz / (24.7 * 9.265))


def _hertz(erb: float) -> float:
    return 24.7 * 9.265 * (math.exp(erb / 9.265) - 1)


_WIDTHS = erb_widths()
_EDGES = np.concatenate([[0], np.cumsum(_WIDTHS)])[:-1]
BAND_OF_BIN = np.repeat(np.arange(BANDS), _WIDTHS)
# a Vorbis window: its overlapping squares sum to 1
_WINDOW = np.sin(np.pi / 2 * np.sin(np.pi * (np.arange(SIZE) + 0.5) / SIZE) ** 2).astype(np.float32)


def analyze(frames: Samples) -> Spectra:
    """Return the spectra of frames ``[T, 960]``."""
    return (np.fft.rfft(frames * _WINDOW) * _SCALE).astype(np.complex64)


def synthesize(spectra: Spectra) -> Samples:
    """Return windowed frames ``[T, 960]``, to be overlapped by half."""
    return (np.fft.irfft(spectra / _SCALE, SIZE) * _WINDOW).astype(np.float32)


class Features:
    """Normalizes the levels of bands and the lowest bins by running means. One for each stream."""

    def __init__(self) -> None:
        self._level = np.linspace(-60, -90, BANDS, dtype=np.float32)
        self._magnitude = np.linspace(0.001, 0.0001, FILTERED, dtype=np.float32)

    def next(self, spectra: Spectra) -> tuple[Samples, Spectra]:
        """Return the features ``[T, 32]`` of the bands, and ``[T, 96]`` of the lowest bins."""
        energy = np.add.reduceat(np.square(np.abs(spectra)), _EDGES, axis=1) / _WIDTHS
        levels: Samples = (10 * np.log10(energy + 1e-10)).astype(np.float32)
        lowest = spectra[:, :FILTERED]
        means, scales = np.empty_like(levels), np.empty(lowest.shape, np.float32)
        new = np.float32(1 - _DECAY)
        decay = np.float32(_DECAY)
        for number, (level, magnitude) in enumerate(zip(levels, np.abs(lowest), strict=True)):
            self._level = means[number] = level * new + self._level * decay
            self._magnitude = scales[number] = magnitude * new + self._magnitude * decay
        return (levels - means) / np.float32(40), (lowest / np.sqrt(scales)).astype(np.complex64)
