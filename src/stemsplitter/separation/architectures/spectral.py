"""What the models have in common whose networks see spectra: the transform, and how audio is cut up for it."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from stemsplitter.separation.architectures.spleeter.network import FRAMES
from stemsplitter.separation.runtimes import Runtime
from stemsplitter.separation.segments import triangle
from stemsplitter.separation.stft import Spectrum, Stft, Waveform

N_FFT: Final = 4096
OVERLAP: Final = 0.25  # of a segment


class SpectralModel:
    """Segments of as many samples as Spleeter's network has frames for.

    A segment is padded with silence such that each of its samples lies in four frames: the transform itself
    loses nothing.
    """

    sample_rate = 44_100

    def __init__(self, runtime: Runtime) -> None:
        self._stft = Stft(N_FFT)
        self._pad = self._stft.n_fft - self._stft.hop
        self.segment = self._stft.samples(FRAMES) - 2 * self._pad
        self.hop = int((1 - OVERLAP) * self.segment)
        self.window: NDArray[np.float32] = triangle(self.segment)
        self.concurrency = runtime.concurrency
        self.device = runtime.device

    def _spectrum(self, segment: Waveform) -> Spectrum:
        """From ``[2, segment]`` to ``[2, FRAMES, N_FFT / 2 + 1]``."""
        return self._stft.forward(np.pad(segment, ((0, 0), (self._pad, self._pad))))

    def _waveform(self, spectrum: Spectrum) -> Waveform:
        """From ``[2, FRAMES, N_FFT / 2 + 1]`` to ``[2, segment]``."""
        return self._unpadded(self._stft.inverse(spectrum))

    def _unpadded(self, waveform: Waveform) -> Waveform:
        return waveform[:, self._pad : self._pad + self.segment]
