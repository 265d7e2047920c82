"""The short-time Fourier transform of the spectrogram networks, and its inverse.

All arrays are float32 or complex64. They are processed in blocks of frames that fit in a core's cache: windowing,
transform, transposition and overlap-add finish a block before the next one.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Waveform = NDArray[np.float32]
Spectrum = NDArray[np.complex64]
Planes = NDArray[np.float32]

FRAMES_PER_BLOCK = 48  # 48 frames of 4,096 float32 are 0.8 MB: the second-level cache of one core
BINS_PER_TILE = 512  # transpositions run over tiles whose rows and columns stay in the cache
HANN_OVERLAP = 1.5  # squared periodic Hann windows a quarter of a window apart sum to 3/2


class Stft:
    """STFT with a periodic Hann window and a hop of a quarter of it, and the least-squares inverse.

    Nothing is padded: frame ``t`` covers the samples ``[t * hop, t * hop + n_fft)``; padding differs between networks
    and is up to the caller. The inverse (Griffin and Lim, 1984) is exact where four frames overlap, that is everywhere
    except for the first and the last ``n_fft - hop`` samples, which are computed as if silent frames lay outside.

    A spectrum is complex, ``[channels, frames, n_fft / 2 + 1]``. HTDemucs reads it as planes,
    ``[channels, 2, n_fft / 2, frames]``: real and imaginary parts without the Nyquist bin.
    An instance holds constants only, so threads can share it.
    """

    def __init__(self, n_fft: int = 4096, *, normalized: bool = False) -> None:
        """``normalized`` divides the spectrum by ``sqrt(n_fft)``, as HTDemucs expects."""
        if n_fft < 8 or n_fft % 8:
            raise ValueError(f"n_fft must be a positive multiple of 8, not {n_fft}")
        self.n_fft = n_fft
        self.hop = n_fft // 4
        self.bins = n_fft // 2 + 1
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
        scale = np.sqrt(n_fft) if normalized else 1.0
        self._analysis = (window / scale).astype(np.float32)
        self._synthesis = (window * scale / HANN_OVERLAP).astype(np.float32)

    def frames(self, samples: int) -> int:
        """Return the number of frames in ``samples``; ValueError if the last frame does not end with them."""
        if samples < self.n_fft or (samples - self.n_fft) % self.hop:
            raise ValueError(
                f"{samples} samples are not a whole number of frames of {self.n_fft} every {self.hop}"
            )
        return (samples - self.n_fft) // self.hop + 1

    def samples(self, frames: int) -> int:
        """Return the number of samples that ``frames`` frames cover."""
        return (frames - 1) * self.hop + self.n_fft

    def forward(self, x: Waveform) -> Spectrum:
        """Transform ``[channels, samples]`` into complex64 ``[channels, frames, n_fft / 2 + 1]``."""
        out = np.empty((len(x), self.frames(x.shape[-1]), self.bins), np.complex64)
        for channel, block, windowed in self._windowed(x):
            _rfft(windowed, out[channel, block])
        return out

    def forward_planes(self, x: Waveform) -> Planes:
        """Transform ``[channels, samples]`` into float32 ``[channels, 2, n_fft / 2, frames]``."""
        out = np.empty((len(x), 2, self.bins - 1, self.frames(x.shape[-1])), np.float32)
        spectrum = np.empty((FRAMES_PER_BLOCK, self.bins), np.complex64)
        for channel, block, windowed in self._windowed(x):
            rows = _rfft(windowed, spectrum[: len(windowed)])
            for tile in self._tiles():
                out[channel, 0, tile, block] = rows.real[:, tile].T
                out[channel, 1, tile, block] = rows.imag[:, tile].T
        return out

    def inverse(self, spectrum: Spectrum) -> Waveform:
        """Transform ``[channels, frames, n_fft / 2 + 1]`` back into float32 ``[channels, samples]``.

        The imaginary parts of the first and the last bin are ignored, as in every real inverse.
        """
        channels, frames, _ = spectrum.shape
        return self.inverse_of(lambda channel, block: spectrum[channel, block], channels, frames)

    def inverse_of(self, rows: Callable[[int, slice], Spectrum], channels: int, frames: int) -> Waveform:
        """Compute :meth:`inverse` of a spectrum that is generated in blocks.

        ``rows(channel, block)`` returns the frames ``block`` of a channel; it may reuse its array for each call.
        """
        out = np.empty((channels, frames + 3, self.hop), np.float32)
        for channel in range(channels):
            for block in _blocks(frames):
                self._overlap_add(rows(channel, block), out[channel], block.start)
        return out.reshape(channels, -1)

    def _windowed(self, x: Waveform) -> Iterator[tuple[int, slice, Waveform]]:
        frames = sliding_window_view(x, self.n_fft, axis=-1)[:, :: self.hop]
        windowed = np.empty((FRAMES_PER_BLOCK, self.n_fft), np.float32)
        for channel in range(len(x)):
            for block in _blocks(frames.shape[1]):
                rows = frames[channel, block]
                yield channel, block, np.multiply(rows, self._analysis, out=windowed[: len(rows)])

    def _overlap_add(self, spectrum: Spectrum, out: Waveform, start: int) -> None:
        """Add frames from index ``start`` to ``out`` ``[hops, hop]``, which is filled up to hop ``start + 3``."""
        frames = np.fft.irfft(spectrum, self.n_fft)
        frames *= self._synthesis
        quarters = frames.reshape(-1, 4, self.hop)
        if start == 0:
            out[:3] = 0
        out[start + 3 : start + 3 + len(quarters)] = quarters[:, 3]
        for quarter in range(3):
            out[start + quarter : start + quarter + len(quarters)] += quarters[:, quarter]

    def _tiles(self) -> Iterator[slice]:
        for start in range(0, self.bins - 1, BINS_PER_TILE):
            yield slice(start, min(start + BINS_PER_TILE, self.bins - 1))


def _rfft(x: Waveform, out: Spectrum) -> Spectrum:
    np.fft.rfft(x, out=out)  # type: ignore[arg-type]  # numpy's annotations know complex128 only
    return out


def _blocks(frames: int) -> Iterator[slice]:
    for start in range(0, frames, FRAMES_PER_BLOCK):
        yield slice(start, min(start + FRAMES_PER_BLOCK, frames))
