"""The part that models on magnitude spectra share: the transform and the segments cut for it."""

from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from stemsplitter.separation.runtimes import Runtime
from stemsplitter.separation.segments import triangle
from stemsplitter.separation.stft import Spectrum, Stft, Waveform

N_FFT: Final = 4096
FRAMES: Final = 512
"""Frames of a segment."""
OVERLAP: Final = 0.25
"""Overlap of two segments, as a share of a segment."""


class VocalsMask(Protocol):
    """Extracts the vocals from a spectrum."""

    def apply(self, spectrum: Spectrum) -> None:
        """Turn the mixture's spectrum ``[2, FRAMES, N_FFT / 2 + 1]`` into that of the vocals, in place."""


class SpectralModel:
    """Segments of ``FRAMES`` frames at 44.1 kHz.

    A segment is padded with silence such that each of its samples lies in four frames, so the transform alone
    reconstructs it exactly.
    """

    sample_rate = 44_100
    reflect = False

    def __init__(self, runtime: Runtime) -> None:
        self._stft = Stft(N_FFT)
        self._pad = self._stft.n_fft - self._stft.hop
        self.segment = self._stft.samples(FRAMES) - 2 * self._pad
        self.hop = int((1 - OVERLAP) * self.segment)
        self.window: NDArray[np.float32] = triangle(self.segment)
        self.concurrency = runtime.concurrency
        self.device = runtime.device

    def _spectrum(self, segment: Waveform) -> Spectrum:
        """Transform ``[2, segment]`` into ``[2, FRAMES, N_FFT / 2 + 1]``."""
        return self._stft.forward(np.pad(segment, ((0, 0), (self._pad, self._pad))))

    def _waveform(self, spectrum: Spectrum) -> Waveform:
        """Transform ``[2, FRAMES, N_FFT / 2 + 1]`` back into ``[2, segment]``."""
        return self._unpadded(self._stft.inverse(spectrum))

    def _unpadded(self, waveform: Waveform) -> Waveform:
        return waveform[:, self._pad : self._pad + self.segment]
