"""SCNet on waveforms: its transform, which has no window, and the level of the input."""

import numpy as np
from numpy.typing import NDArray

from stemsplitter.checkpoints.states import open_state
from stemsplitter.separation.architectures import ModelFiles
from stemsplitter.separation.architectures.msst import OVERLAP, SAMPLE_RATE, add_rest
from stemsplitter.separation.architectures.scnet.network import PLANES, SCNet
from stemsplitter.separation.architectures.scnet.settings import SCNetSettings, count_outputs, read_shape
from stemsplitter.separation.runtimes import Runtime
from stemsplitter.separation.segments import trapezoid
from stemsplitter.separation.stft import CenteredStft, Spectrum, Stft

SILENCE = 1e-7  # −140 dBFS: quieter segments are not amplified to full level


class SCNetModel:
    """SCNet of any size.

    Raises:
        ModelError: the file is not a checkpoint of SCNet, or does not match the settings.
    """

    sample_rate = SAMPLE_RATE
    reflect = True
    notes: tuple[str, ...] = ()

    def __init__(self, runtime: Runtime, files: ModelFiles) -> None:
        (weights,) = files.weights
        runtime = runtime.for_large_networks()
        settings, state = SCNetSettings.parse(files.settings), open_state(weights)
        self.stems = files.stems
        self.segment = settings.segment
        self.hop = int((1 - OVERLAP) * self.segment)
        self.window = trapezoid(self.segment)
        self.concurrency = runtime.concurrency
        self.device = runtime.device
        stft = Stft(settings.nfft, settings.hop_size, hann=False, normalized=settings.normalized)
        self._padded = padded_length(self.segment, stft.hop)
        self._stft = CenteredStft(stft, self._padded)
        self._normalize = settings.normalize
        shape = read_shape(state, settings, self._stft.frames)
        outputs = count_outputs(state)
        self._heads = list(range(outputs) if settings.heads is None else settings.heads)
        self._network = runtime.compile(
            lambda: SCNet(shape, state),
            {"spectrogram": (1, PLANES, shape.bins, shape.frames)},
            files.cache / weights.stem,
        )

    def separate(self, mixture: NDArray[np.float32]) -> NDArray[np.float32]:
        level = self._level(mixture)
        padded = np.pad(mixture / level, ((0, 0), (0, self._padded - self.segment)))
        (planes,) = self._network(_planes(self._stft.forward(padded))[None])
        planes = planes.reshape(-1, 2, 2, *planes.shape[2:])

        def rows(channel: int, block: slice) -> Spectrum:
            head, side = divmod(channel, 2)
            part = planes[self._heads[head], side, :, :, block]
            spectrum = np.empty(part.shape[:0:-1], np.complex64)
            spectrum.real, spectrum.imag = part[0].T, part[1].T
            return spectrum

        stems = self._stft.inverse_of(rows, 2 * len(self._heads))[:, : self.segment]
        stems *= level
        return add_rest(stems.reshape(len(self._heads), *mixture.shape), mixture, len(self.stems))

    def _level(self, mixture: NDArray[np.float32]) -> np.float32:
        """Return the deviation of the segment's mean of both channels; MSST uses that of the whole song."""
        if not self._normalize:
            return np.float32(1)
        return np.float32(max(mixture.mean(axis=0).std(dtype=np.float64), SILENCE))


def padded_length(length: int, hop: int) -> int:
    """Return the length of a segment with the silence after it, which makes the number of frames even."""
    hops = length // hop + 1
    return (hops + 1 - hops % 2) * hop


def _planes(spectrum: Spectrum) -> NDArray[np.float32]:
    """Turn ``[2, frames, bins]`` into real and imaginary parts ``[4, bins, frames]``."""
    parts = np.stack([spectrum.real, spectrum.imag], axis=1).swapaxes(2, 3)
    return np.ascontiguousarray(parts).reshape(PLANES, *parts.shape[2:])
