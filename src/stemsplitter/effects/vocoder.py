"""Phase vocoder: changes the speed of a stream and keeps its pitch."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

Samples = npt.NDArray[np.float32]
Spectra = npt.NDArray[np.complex64]

BATCH = (
    32  # frames; only whole batches are processed, so that the size of the blocks does not affect the result
)
OVERLAP = 4  # a frame starts every quarter of its length
# A bin rises if its energy is this many times that of one hop before; a frame has a transient if the rising bins have
# this share of its energy.
_RISE, _RISING_SHARE = 4.0, 0.35

Shape = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]
"""Maps the power spectra of frames ``[B, K]`` to gains of their bins ``[B, K]``."""


class Vocoder:
    """Stretches a stream of blocks ``[C, n]`` to ``round(n / speed)`` samples.

    Frames are read from the input at ``speed`` times the rate at which they are added to the output. The bins around
    each spectral peak are rotated by one angle (identity phase locking: Laroche and Dolson, "Improved phase vocoder
    time-scale modification of audio", IEEE Trans. Speech and Audio Processing 7(3), 1999), which follows from the phase
    advance of the peak over exactly one hop of the output, so that no frequency is estimated and no phase unwrapped.
    All channels are rotated alike, by the phase of the sum of their cross spectra, which keeps the stereo image. At a
    transient, the regions that rise get the phases of the input (after Röbel, "A new approach to transient processing
    in the phase vocoder", DAFx 2003, with a simpler detection). At a speed of 1, the output is the input.

    Args:
        channels: of the blocks.
        speed: above 0; 2 halves the length.
        size: samples in a frame, a multiple of 4. Long frames resolve chords, short frames keep transients.
        shape: gains of the bins of each frame, by default 1.
    """

    def __init__(self, channels: int, speed: float, size: int, shape: Shape | None = None) -> None:
        self._speed, self._size, self._hop, self._shape = speed, size, size // OVERLAP, shape
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
        self._analysis = window.astype(np.float32)
        self._synthesis = (window / (OVERLAP * 0.375)).astype(np.float32)  # the overlapping squares sum to 1
        self._frame = 1 - OVERLAP // 2  # the first whose end is in the output
        self._start = (
            self._position(self._frame) - self._hop - size // 2
        )  # position of the first sample of _input
        self._input: Samples = np.zeros((channels, -self._start), np.float32)
        self._output: Samples = np.zeros((channels, size - self._hop), np.float32)  # unfinished samples
        self._early = (OVERLAP - 1) * self._hop  # samples of the first frames before the output
        self._taken = self._given = 0
        self._last: Spectra = np.zeros(
            (channels, 1, size // 2 + 1), np.complex64
        )  # spectrum of the last frame
        self._rotation: npt.NDArray[np.complex64] = np.ones(size // 2 + 1, np.complex64)

    def process(self, block: Samples) -> Samples:
        """Take float32 ``[C, n]`` and return the samples that are finished, ``[C, m]``; m may be 0."""
        self._taken += block.shape[1]
        self._input = np.concatenate([self._input, block], axis=1)
        pieces = [self._output[:, :0]]
        while self._needed() <= self._input.shape[1]:
            pieces.append(self._next_batch())
        return np.concatenate(pieces, axis=1)

    def flush(self) -> Samples:
        """End the stream and return its remaining samples."""
        total = round(self._taken / self._speed)
        pieces = [self._output[:, :0]]
        while self._given < total:
            missing = max(self._needed() - self._input.shape[1], 0)
            self._input = np.pad(self._input, ((0, 0), (0, missing)))
            pieces.append(self._next_batch())
        rest = np.concatenate(pieces, axis=1)
        return rest[:, : rest.shape[1] - (self._given - total)]

    def _position(self, frame: int) -> int:
        """Return the position of the center of a frame in the input."""
        return round(frame * self._hop * self._speed)

    def _needed(self) -> int:
        """Return the number of buffered samples that the next batch needs."""
        return self._position(self._frame + BATCH - 1) + self._size // 2 - self._start

    def _next_batch(self) -> Samples:
        centers = np.array([self._position(self._frame + number) for number in range(BATCH)])
        starts = centers - self._size // 2 - self._start
        frames = sliding_window_view(self._input, self._size, axis=1)
        spectra = self._spectra(frames[:, starts])
        before = self._spectra(frames[:, starts - self._hop])
        energy = _energy(spectra)
        rotations = self._rotations(spectra, before, energy)
        if self._shape is not None:
            rotations *= self._shape(energy)
        spectra *= rotations
        self._frame += BATCH
        kept = self._position(self._frame) - self._hop - self._size // 2
        self._input = self._input[:, max(kept - self._start, 0) :]
        self._start = max(kept, self._start)
        waves: Samples = np.fft.irfft(spectra, self._size).astype(np.float32, copy=False)
        return self._overlap_add(waves * self._synthesis)

    def _spectra(self, frames: Samples) -> Spectra:
        return np.fft.rfft(frames * self._analysis).astype(np.complex64, copy=False)

    def _rotations(self, spectra: Spectra, before: Spectra, energy: npt.NDArray[np.float32]) -> Spectra:
        """Return the factor of each bin of the frames, ``[B, K]``."""
        previous = np.concatenate([self._last, spectra[:, :-1]], axis=1)
        self._last = spectra[:, -1:].copy()
        advance = _unit((previous * before.conj()).sum(axis=0))
        owner = _owners(energy)
        rising = self._rising(energy, _energy(before))
        rotations = np.empty_like(advance)
        rotation = self._rotation
        for number in range(BATCH):
            rotation = (rotation * advance[number])[owner[number]]
            if rising[number].any():
                rotation[rising[number][owner[number]]] = 1
            rotations[number] = rotation
        self._rotation = _unit(rotation)  # rounding errors do not accumulate
        return rotations

    def _rising(
        self, energy: npt.NDArray[np.float32], before: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.bool_]:
        rising: npt.NDArray[np.bool_] = energy > _RISE * before
        share = (energy * rising).sum(axis=1)
        is_transient = share > _RISING_SHARE * energy.sum(axis=1)
        rising &= is_transient[:, None]
        return rising

    def _overlap_add(self, frames: Samples) -> Samples:
        hop, channels = self._hop, len(frames)
        total = np.zeros((channels, (BATCH - 1) * hop + self._size), np.float32)
        total[:, : self._size - hop] = self._output
        parts = frames.reshape(channels, BATCH, OVERLAP, hop)
        for number in range(OVERLAP):
            total[:, number * hop : (number + BATCH) * hop] += parts[:, :, number].reshape(channels, -1)
        done, self._output = total[:, : BATCH * hop], total[:, BATCH * hop :]
        skipped = min(self._early, done.shape[1])
        self._early -= skipped
        self._given += done.shape[1] - skipped
        return done[:, skipped:]


def _energy(spectra: Spectra) -> npt.NDArray[np.float32]:
    """Return the energy of each bin over all channels, ``[B, K]``."""
    energy: npt.NDArray[np.float32] = (np.square(spectra.real) + np.square(spectra.imag)).sum(axis=0)
    return energy


def _unit(values: npt.NDArray[np.complex64]) -> npt.NDArray[np.complex64]:
    """Return values of the same angle and magnitude 1; 1 for zeros."""
    magnitude = np.abs(values)
    silent = magnitude == 0
    unit: npt.NDArray[np.complex64] = (values / np.where(silent, 1, magnitude)).astype(np.complex64)
    unit[silent] = 1
    return unit


def _owners(energy: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
    """Return the nearest spectral peak of each bin ``[B, K]``: a bin that is above its two neighbors on each side."""
    padded = np.pad(energy, ((0, 0), (2, 2)))
    width = energy.shape[1]
    neighbors = [padded[:, shift : shift + width] for shift in (0, 1, 3, 4)]
    peak = (
        (energy > neighbors[0])
        & (energy > neighbors[1])
        & (energy >= neighbors[2])
        & (energy >= neighbors[3])
    )
    number = np.arange(width)
    far = 4 * width
    below = np.maximum.accumulate(np.where(peak, number, -far), axis=1)
    above = np.minimum.accumulate(np.where(peak, number, far)[:, ::-1], axis=1)[:, ::-1]
    nearest = np.where(number - below <= above - number, below, above)
    return np.where(np.abs(nearest) < far, nearest, number)
