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
    """Return the spectra ``[C, T, 481]`` of frames ``[C, T, 960]``."""
    return np.asarray(np.fft.rfft(frames * _WINDOW) * _SCALE, np.complex64)


def synthesize(spectra: Spectra) -> Samples:
    """Return windowed frames ``[C, T, 960]``, to be overlapped by half."""
    return np.asarray(np.fft.irfft(spectra / _SCALE, SIZE), np.float32) * _WINDOW


class Features:
    """Normalizes the levels of bands and the lowest bins by running means. One for each stream."""

    def __init__(self) -> None:
        level = np.linspace(-60, -90, BANDS, dtype=np.float32)
        magnitude = np.linspace(0.001, 0.0001, FILTERED, dtype=np.float32)
        self._mean = np.concatenate([level, magnitude])[None]

    def repeat(self, channels: int) -> None:
        """Go on with ``channels`` channels, all of which were the same so far."""
        self._mean = self._mean.repeat(channels, axis=0)

    def next(self, spectra: Spectra) -> tuple[Samples, Spectra]:
        """Return the features ``[C, T, 32]`` of the bands, and ``[C, T, 96]`` of the lowest bins."""
        power = np.square(spectra.real) + np.square(spectra.imag)
        energy = np.add.reduceat(power, _EDGES, axis=2) / _WIDTHS.astype(np.float32)
        levels: Samples = 10 * np.log10(energy + np.float32(1e-10))
        values = np.concatenate([levels, np.sqrt(power[..., :FILTERED])], axis=2)
        means = values * np.float32(1 - _DECAY)
        # not a product of matrices: it would wake the threads of BLAS
        for frame in range(means.shape[1]):
            means[:, frame] += self._mean * np.float32(_DECAY)
            self._mean = means[:, frame]
        lowest = (spectra[..., :FILTERED] / np.sqrt(means[..., BANDS:])).astype(np.complex64, copy=False)
        return (levels - means[..., :BANDS]) / np.float32(40), lowest
