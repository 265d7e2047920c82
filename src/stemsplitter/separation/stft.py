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

FRAMES_PER_BLOCK = (
    32  # 32 frames of 4,096 float32 are 0.5 MB: with their transform, the second-level cache of a core
)
BINS_PER_TILE = 512  # transpositions run over tiles whose rows and columns stay in the cache


class Stft:
    """STFT with any hop, a periodic Hann window or none, and the least-squares inverse.

    Frame ``t`` covers the samples ``[t * hop, t * hop + n_fft)``; nothing is padded, as padding differs between
    networks. :class:`CenteredStft` pads as torch does. The inverse (Griffin and Lim, 1984) is exact where as many
    frames overlap as possible, that is everywhere except for the first and the last ``n_fft - hop`` samples, which are
    computed as if silent frames lay outside.

    A spectrum is complex, ``[channels, frames, n_fft / 2 + 1]``. HTDemucs reads it as planes,
    ``[channels, 2, n_fft / 2, frames]``: real and imaginary parts without the Nyquist bin.
    An instance holds constants only, so threads can share it.
    """

    def __init__(
        self, n_fft: int = 4096, hop: int | None = None, *, hann: bool = True, normalized: bool = False
    ) -> None:
        """Create the transform.

        Args:
            n_fft: samples in a frame, a positive multiple of 8.
            hop: samples from the start of a frame to the start of the next, at most half a frame; by default a quarter.
            hann: use a Hann window; otherwise all samples of a frame have the weight 1.
            normalized: divide the spectrum by ``sqrt(n_fft)``.
        """
        if n_fft < 8 or n_fft % 8:
            raise ValueError(f"n_fft must be a positive multiple of 8, not {n_fft}")
        self.n_fft = n_fft
        self.hop = n_fft // 4 if hop is None else hop
        if not 0 < self.hop <= n_fft // 2:
            raise ValueError(f"the hop must be between 1 and {n_fft // 2}, not {self.hop}")
        self.bins = n_fft // 2 + 1
        angle = 2 * np.pi * np.arange(n_fft) / n_fft
        self._window = 0.5 - 0.5 * np.cos(angle) if hann else np.ones(n_fft)
        scale = np.sqrt(n_fft) if normalized else 1.0
        self._analysis = (self._window * n_fft / scale).astype(np.float32)  # see `_rfft`
        self._synthesis = (self._window * scale / self._overlap()).astype(np.float32)
        self._parts = -(-n_fft // self.hop)  # frames that overlap

    def _overlap(self) -> NDArray[np.float64]:
        """Sum the squared windows at each sample of a frame between many others, ``[n_fft]``."""
        places = np.arange(self.n_fft) % self.hop
        overlap = np.zeros(self.hop)
        np.add.at(overlap, places, self._window**2)
        return overlap[places]

    def edge_gain(self, frames: int) -> NDArray[np.float64]:
        """Return the factors, ``[samples]``, that make the inverse exact at the edges, where fewer frames overlap."""
        overlap = self._overlap()
        actual = np.zeros(self.samples(frames))
        for start in range(0, frames * self.hop, self.hop):
            actual[start : start + self.n_fft] += self._window**2
        everywhere = overlap[np.arange(len(actual)) % self.hop]
        return everywhere / np.maximum(actual, np.finfo(np.float64).tiny)

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
        out = np.empty((channels, frames + self._parts - 1, self.hop), np.float32)
        for channel in range(channels):
            for block in blocks(frames):
                self._overlap_add(rows(channel, block), out[channel], block.start)
        return out.reshape(channels, -1)[:, : self.samples(frames)]

    def _windowed(self, x: Waveform) -> Iterator[tuple[int, slice, Waveform]]:
        frames = sliding_window_view(x, self.n_fft, axis=-1)[:, :: self.hop]
        windowed = np.empty((FRAMES_PER_BLOCK, self.n_fft), np.float32)
        for channel in range(len(x)):
            for block in blocks(frames.shape[1]):
                rows = frames[channel, block]
                yield channel, block, np.multiply(rows, self._analysis, out=windowed[: len(rows)])

    def _overlap_add(self, spectrum: Spectrum, out: Waveform, start: int) -> None:
        """Add frames from index ``start`` to ``out`` ``[hops, hop]``; the hops after the last frame are left unset."""
        frames = np.fft.irfft(spectrum, self.n_fft)
        frames *= self._synthesis
        count, last = len(frames), self._parts - 1
        if start == 0:
            out[:last] = 0
        out[start + last : start + last + count] = 0
        for part in range(self._parts):
            piece = frames[:, part * self.hop : (part + 1) * self.hop]
            out[start + part : start + part + count, : piece.shape[1]] += piece

    def _tiles(self) -> Iterator[slice]:
        for start in range(0, self.bins - 1, BINS_PER_TILE):
            yield slice(start, min(start + BINS_PER_TILE, self.bins - 1))


class CenteredStft:
    """``torch.stft`` and ``torch.istft`` of segments of one length: frame ``t`` is centered on sample ``t * hop``.

    A segment is reflected at both ends; the inverse divides by the squared windows of the frames that exist.

    Attributes:
        frames: number of frames in a segment.
    """

    def __init__(self, stft: Stft, length: int) -> None:
        """Create the transform of segments of ``length`` samples, more than half a frame."""
        self._stft, self._length = stft, length
        self.frames = length // stft.hop + 1
        self._edge = stft.n_fft // 2
        self._gain = stft.edge_gain(self.frames)[self._edge : self._edge + length].astype(np.float32)

    def forward(self, x: Waveform) -> Spectrum:
        """Transform ``[channels, length]`` into complex64 ``[channels, frames, n_fft / 2 + 1]``."""
        padded = np.pad(x, ((0, 0), (self._edge, self._edge)), mode="reflect")
        return self._stft.forward(padded[:, : self._stft.samples(self.frames)])

    def inverse_of(self, rows: Callable[[int, slice], Spectrum], channels: int) -> Waveform:
        """Transform a spectrum back into ``[channels, length]``; see :meth:`Stft.inverse_of`."""
        padded = self._stft.inverse_of(rows, channels, self.frames)
        return padded[:, self._edge : self._edge + self._length] * self._gain


def _rfft(x: Waveform, out: Spectrum) -> Spectrum:
    """Transform frames, divided by their length: without the division NumPy computes in double precision."""
    np.fft.rfft(x, norm="forward", out=out)  # type: ignore[arg-type]  # numpy's annotations know complex128 only
    return out


def blocks(frames: int) -> Iterator[slice]:
    """Yield the blocks of ``frames`` frames, in order."""
    for start in range(0, frames, FRAMES_PER_BLOCK):
        yield slice(start, min(start + FRAMES_PER_BLOCK, frames))
