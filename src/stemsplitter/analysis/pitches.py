"""Strength of the pitch classes of a stream."""

import numpy as np
import numpy.typing as npt

from stemsplitter.analysis.frames import Framer, Samples, spectra

SIZE, HOP = 8192, 2048
_LOW_HZ, _HIGH_HZ = 55.0, 3500.0
_STEPS = 10  # per semitone
_HARMONICS, _DECAY, _POWER = 4, 0.6, 0.5
_LEAST = 1e-3  # of the largest peak of a frame
_BASS_HZ = 250.0
_REACH = 0.25  # semitones from a pitch class; what is between two says little about the key

Classes = npt.NDArray[np.float64]


class Pitches:
    """Measures the spectral peaks of a mono stream from 55 to 3500 Hz, and folds them into one octave.

    A peak counts with the square root of its magnitude for its own frequency, and less for those whose second to
    fourth harmonic it may be (Gómez, "Tonal description of music audio signals", 2006: harmonic pitch class profile).
    """

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self.frames_per_second = sample_rate / HOP
        self._framer = Framer(SIZE, HOP)
        self._window = np.hanning(SIZE).astype(np.float32)
        self._frames: list[npt.NDArray[np.float32]] = []
        self._bass: list[npt.NDArray[np.float16]] = []
        self._deviation = 0j

    def push(self, block: Samples) -> None:
        """Take ``[n]`` samples."""
        for frames in self._framer.push(block):
            self._measure(frames)

    def frames(self) -> tuple[Classes, float]:
        """End the stream. Returns the strengths of C to B in each frame ``[T, 12]``, and the tuning in semitones, -0.5
        to 0.5."""
        for frames in self._framer.flush():
            self._measure(frames)
        if not self._frames or not self._deviation:
            return np.zeros((0, 12)), 0.0
        tuning = float(np.angle(self._deviation) / (2 * np.pi))
        return _classes(np.concatenate(self._frames), tuning), tuning

    def bass(self, tuning: float) -> Classes:
        """Return the strengths of C to B below 250 Hz ``[T, 12]``, without harmonics; after :meth:`frames`."""
        if not self._bass or not self._deviation:
            return np.zeros((0, 12))
        return _classes(np.concatenate(self._bass).astype(np.float32), tuning)

    def _measure(self, frames: Samples) -> None:
        first, last = int(_LOW_HZ * SIZE / self._rate), int(_HIGH_HZ * SIZE / self._rate)
        last = min(last, SIZE // 2 - 1)
        magnitudes = np.abs(spectra(frames, self._window)[:, first - 1 : last + 1]).astype(np.float64)
        is_peak = (magnitudes[:, 1:-1] > magnitudes[:, :-2]) & (magnitudes[:, 1:-1] >= magnitudes[:, 2:])
        loudest = (magnitudes[:, 1:-1] * is_peak).max(axis=1, keepdims=True)
        frame, number = np.nonzero(is_peak & (magnitudes[:, 1:-1] > _LEAST * loudest))
        # a parabola through the logarithms of a peak and its neighbors
        left, center, right = (np.log(magnitudes[frame, number + shift] + 1e-9) for shift in range(3))
        shift = 0.5 * (left - right) / (left - 2 * center + right - 1e-12)
        semitone = 12 * np.log2((number + first + shift) * self._rate / SIZE / 440)
        weight = np.exp(_POWER * (center - 0.25 * (left - right) * shift))
        self._deviation += complex((weight * np.exp(2j * np.pi * semitone)).sum())
        folded = np.zeros(len(frames) * 12 * _STEPS)
        place = np.rint(semitone * _STEPS).astype(np.intp) % (12 * _STEPS)
        low = np.nonzero(semitone < 12 * np.log2(_BASS_HZ / 440))[0]
        bass = np.bincount(
            frame[low] * 12 * _STEPS + place[low], np.minimum(weight[low], 1e4), minlength=len(folded)
        )
        self._bass.append(bass.reshape(len(frames), -1).astype(np.float16))
        for harmonic in range(1, _HARMONICS + 1):
            place = np.rint((semitone - 12 * np.log2(harmonic)) * _STEPS).astype(np.intp) % (12 * _STEPS)
            folded += np.bincount(
                frame * 12 * _STEPS + place, weight * _DECAY ** (harmonic - 1), minlength=len(folded)
            )
        self._frames.append(folded.reshape(len(frames), -1).astype(np.float32))


def _classes(steps: npt.NDArray[np.float32], tuning: float) -> Classes:
    """Return the strengths of C to B of those of the steps from A on."""
    place = np.arange(12 * _STEPS) / _STEPS - tuning
    distance = (place[:, None] - np.arange(12) + 6) % 12 - 6
    weight = np.cos(np.pi / 2 * np.clip(distance / _REACH, -1, 1)) ** 2
    return np.asarray(np.roll(steps @ weight, 9, axis=1))  # from A to C
