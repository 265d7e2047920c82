"""Loudness, true peak and silence of stems, measured while they are written.

The integrated loudness is that of Recommendation ITU-R BS.1770-4 (K-weighting, gates at -70 LUFS and 10 LU below the
ungated loudness), computed by FFmpeg's filter ``ebur128``. The true peak is that of its Annex 2: the largest absolute
sample of the signal at four times its sample rate.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import av.error
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.filter import Graph
from numpy.lib.stride_tricks import sliding_window_view

from stemsplitter.audio.encoders import LAYOUTS

Samples = npt.NDArray[np.float32]

SILENT_LUFS = -50.0
"""The loudness below which a stem counts as silent: what a model finds where there is nothing is below it."""

_UNMEASURED = -70.0  # the absolute gate
_OVERSAMPLING = 4
_TAPS = 16  # of each phase
_CHUNK = 64  # samples that are interpolated or skipped together
_TOGETHER = 256  # chunks at once, which fit into the cache
_BATCH = 1 << 16  # samples
_BETA = 5.0  # of the Kaiser window


@dataclass(frozen=True)
class Level:
    """The level of a stem.

    ``loudness`` is in LUFS and ``true_peak`` in dBTP, to two decimals; None for a stem without any sound above -70
    LUFS, and for digital silence.
    """

    loudness: float | None
    true_peak: float | None

    def dump(self) -> dict[str, float | bool | None]:
        """Return the level as JSON."""
        return {"loudness": self.loudness, "truePeak": self.true_peak, "silent": self.is_silent}

    @property
    def is_silent(self) -> bool:
        """True if nothing can be heard."""
        return self.loudness is None or self.loudness < SILENT_LUFS


class Levels:
    """Measures stems block by block, in memory that does not depend on their length."""

    def __init__(self, names: Sequence[str], sample_rate: int, channels: int) -> None:
        self._loudness = {name: _Loudness(sample_rate, channels) for name in names}
        self._peaks = {name: _TruePeak(channels) for name in names}

    def add(self, blocks: Mapping[str, Samples]) -> None:
        """Measure the next float32 ``[channels, n]`` of every stem."""
        for name, block in blocks.items():
            if block.shape[1]:
                self._loudness[name].add(block)
                self._peaks[name].add(block)

    def result(self, gain: float = 1.0) -> dict[str, Level]:
        """Return the level of every stem; ``gain`` is the factor applied after the measurement."""
        shift = 20 * math.log10(gain)
        return {name: self._level(name, shift) for name in self._loudness}

    def _level(self, name: str, shift: float) -> Level:
        loudness, peak = self._loudness[name].result(), self._peaks[name].result()
        return Level(
            None if loudness is None else round(loudness + shift, 2),
            round(20 * math.log10(peak) + shift, 2) if peak else None,
        )


class _Loudness:
    def __init__(self, sample_rate: int, channels: int) -> None:
        self._rate, self._layout = sample_rate, LAYOUTS[channels]
        self._at = 0
        self._value = _UNMEASURED
        self._graph = Graph()
        source = self._graph.add_abuffer(
            format="fltp", sample_rate=sample_rate, layout=self._layout, time_base=Fraction(1, sample_rate)
        )
        meter = self._graph.add("ebur128", "metadata=1:framelog=quiet")
        sink = self._graph.add("abuffersink")
        source.link_to(meter)
        meter.link_to(sink)
        self._graph.configure()

    def add(self, block: Samples) -> None:
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(block), format="fltp", layout=self._layout)
        frame.sample_rate, frame.time_base, frame.pts = self._rate, Fraction(1, self._rate), self._at
        self._at += block.shape[1]
        self._graph.push(frame)
        self._pull()

    def result(self) -> float | None:
        return self._value if self._value > _UNMEASURED else None

    def _pull(self) -> None:
        while True:
            try:
                frame = self._graph.pull()
            except (BlockingIOError, av.error.EOFError):
                return
            self._value = float(frame.metadata.get("lavfi.r128.I", self._value))


class _TruePeak:
    """Interpolates only where the result can exceed the largest value so far."""

    def __init__(self, channels: int) -> None:
        self._held = np.zeros((channels, _TAPS), np.float32)
        self._peak = 0.0

    def add(self, block: Samples) -> None:
        for first in range(0, block.shape[1], _BATCH):
            self._add(block[:, first : first + _BATCH])

    def result(self) -> float:
        self._add(np.zeros((len(self._held), _TAPS + _CHUNK), np.float32))
        return self._peak

    def _add(self, block: Samples) -> None:
        self._peak = max(self._peak, float(block.max()), -float(block.min()))
        samples = np.concatenate((self._held, block), axis=1)
        count = (samples.shape[1] - _TAPS) // _CHUNK
        self._held = samples[:, count * _CHUNK :].copy()
        if not count:
            return
        samples = samples[:, : count * _CHUNK + _TAPS]
        bounds = _chunk_peaks(samples) * _LARGEST_GAIN
        is_loud = bounds > self._peak
        bounds = bounds[is_loud]
        chunks = sliding_window_view(samples, _CHUNK + _TAPS, axis=1)[:, ::_CHUNK][is_loud]
        for first in range(0, len(chunks), _TOGETHER):
            part = slice(first, first + _TOGETHER)
            louder = chunks[part][bounds[part] > self._peak]
            if len(louder):
                self._peak = max(self._peak, _interpolated_peak(np.ascontiguousarray(louder.T)))


def _interpolated_peak(chunks: Samples) -> float:
    """Return the largest absolute value between the samples of chunks, ``[samples, chunks]``.

    One tap after the other: a matrix product would occupy all cores with the threads of the BLAS library.
    """
    peak, total = 0.0, np.empty((_CHUNK, chunks.shape[1]), np.float32)
    product = np.empty_like(total)
    for phase in _PHASES.T:
        np.multiply(chunks[:_CHUNK], phase[0], out=total)
        for tap in range(1, _TAPS):
            np.multiply(chunks[tap : tap + _CHUNK], phase[tap], out=product)
            np.add(total, product, out=total)
        peak = max(peak, float(total.max()), -float(total.min()))
    return peak


def _chunk_peaks(samples: Samples) -> npt.NDArray[np.float32]:
    """Return the largest absolute sample of each chunk and the taps after it, ``[C, chunks]``."""
    parts = np.abs(samples).reshape(len(samples), -1, _TAPS).max(axis=2)
    ratio = _CHUNK // _TAPS
    peaks: npt.NDArray[np.float32] = sliding_window_view(parts, ratio + 1, axis=1)[:, ::ratio].max(axis=2)
    return peaks


def _phases() -> npt.NDArray[np.float32]:
    """Design the interpolators at 1/4, 2/4 and 3/4 of a sample, ``[taps, 3]``: sinc with a Kaiser window."""
    shifts = np.arange(1, _OVERSAMPLING) / _OVERSAMPLING
    at = np.arange(_TAPS)[:, None] - (_TAPS / 2 - 1) - shifts
    window = np.i0(_BETA * np.sqrt(np.maximum(1 - (at / (_TAPS / 2)) ** 2, 0))) / np.i0(_BETA)
    phases: npt.NDArray[np.float64] = np.sinc(at) * window
    scaled: npt.NDArray[np.float32] = (phases / phases.sum(axis=0)).astype(np.float32)
    return scaled


_PHASES = _phases()
_LARGEST_GAIN = float(np.abs(_PHASES).sum(axis=0).max())
